//! Completions and man pages, made of a program's command line.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Command, Subcommand};
use clap_complete::Shell;

/// Commands that document a program.
#[derive(Debug, Subcommand)]
pub enum Manual {
    /// Print the completions of this program for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages of this program into a directory
    Man {
        /// The directory, which is made where there is none
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

impl Manual {
    /// Writes what is asked for, of the program with this command line.
    ///
    /// # Errors
    ///
    /// Names what cannot be written. Whoever closes the pipe has what it wanted.
    pub fn execute(&self, mut program: Command) -> io::Result<()> {
        match self {
            Self::Completions { shell } => {
                let name = program.get_name().to_owned();
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut program, name, &mut script);
                match io::stdout().write_all(&script) {
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                        Err(named("stdout", &error))
                    }
                    _ => Ok(()),
                }
            }
            Self::Man { directory } => {
                let write = || {
                    fs::create_dir_all(directory)?;
                    clap_mangen::generate_to(program, directory)
                };
                write().map_err(|error| named(&directory.display().to_string(), &error))
            }
        }
    }
}

fn named(place: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to {place}: {error}"))
}
