//! The command line of `ringback-load`.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, ValueEnum};

use super::units::{UnitError, format_size, parse_count, parse_duration, parse_size};
use crate::load::{self, Config, Load, Phase, Progress, Report, RunError, Server, Target, report};
use crate::placement::{self, PlacementError};
