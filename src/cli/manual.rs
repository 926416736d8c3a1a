//! Completions and man pages, made of a program's command line.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

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
                    let mut program = described(program).disable_help_subcommand(true);
                    program.build();
                    write_pages(program, directory)
                };
                write().map_err(|error| named(&directory.display().to_string(), &error))
            }
        }
    }
}

/// clap_mangen describes no option that `-h` leaves out.
fn described(program: Command) -> Command {
    program.mut_args(|option| option.hide_short_help(false)).mut_subcommands(described)
}

fn write_pages(command: Command, directory: &Path) -> io::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_pages(command.clone(), directory)?;
    }
    let page = Man::new(command).source(concat!("ringback ", env!("CARGO_PKG_VERSION")));
    let mut roff = Vec::new();
    page.render(&mut roff)?;
    let roff = with_line_breaks(&String::from_utf8_lossy(&roff));
    fs::write(directory.join(page.get_filename()), roff)
}

/// Lets each subject after the options begin a line: roff fills lines that are not indented.
fn with_line_breaks(page: &str) -> String {
    let Some((options, rest)) = page.split_once("\n.SH EXTRA\n") else {
        return page.to_owned();
    };
    let mut text = format!("{options}\n.SH NOTES\n");
    for line in rest.lines() {
        if line.starts_with(|first: char| first.is_ascii_uppercase()) {
            text.push_str(".br\n");
        }
        text.extend([line, "\n"]);
    }
    text
}

fn named(place: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to {place}: {error}"))
}
