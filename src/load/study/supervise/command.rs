//! The command line of a server: words, with a place for the address.

use std::fmt;
use std::net::SocketAddr;
use std::process::Command;

use crate::load::error::ConfigError;

const ADDRESS: &str = "{addr}";
/// The placeholder of the port alone, where a server wants the two apart.
const PORT: &str = "{port}";

/// How to start a server, split into words as a shell would; no shell runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCommand {
    text: String,
    program: String,
    arguments: Vec<String>,
}

impl ServerCommand {
    /// Splits a command line into words.
    ///
    /// # Errors
    ///
    /// When there are none, quotes are open, or no word has a place for the address.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let words = shlex::split(text).ok_or_else(|| {
            ConfigError("a quote is not closed, or a backslash stands at its end".to_owned())
        })?;
        let (program, arguments) = words.split_first().ok_or_else(|| {
            ConfigError(format!("it is empty: write a command, as in 'ringback serve {ADDRESS}'"))
        })?;
        let has_place = |word: &String| word.contains(ADDRESS) || word.contains(PORT);
        if !arguments.iter().any(has_place) {
            return Err(ConfigError(format!(
                "it does not say where to listen: write {ADDRESS} (or {PORT} alone) where the \
                 address belongs, as in 'ringback serve {ADDRESS}'"
            )));
        }
        Ok(Self { text: text.to_owned(), program: program.clone(), arguments: arguments.to_vec() })
    }

    /// The process that listens on this address.
    pub(super) fn at(&self, address: SocketAddr) -> Command {
        let (host_and_port, port) = (address.to_string(), address.port().to_string());
        let fill = |word: &String| word.replace(ADDRESS, &host_and_port).replace(PORT, &port);
        let mut command = Command::new(&self.program);
        command.args(self.arguments.iter().map(fill));
        command
    }
}

/// The command as the user wrote it.
impl fmt::Display for ServerCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let command = ServerCommand::parse(text).unwrap().at("127.0.0.1:4711".parse().unwrap());
        let program = command.get_program().to_owned();
        std::iter::once(program.as_os_str())
            .chain(command.get_args())
            .map(|word| word.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn words_are_split_as_a_shell_does_and_the_address_is_put_in() {
        assert_eq!(words("ringback serve {addr}"), ["ringback", "serve", "127.0.0.1:4711"]);
        assert_eq!(
            words(r#""my server" --listen='{addr}' a\ b '' "#),
            ["my server", "--listen=127.0.0.1:4711", "a b", ""]
        );
        assert_eq!(
            words("socat TCP-LISTEN:{port},fork,bind=127.0.0.1 EXEC:cat"),
            ["socat", "TCP-LISTEN:4711,fork,bind=127.0.0.1", "EXEC:cat"]
        );
        assert_eq!(words("echo {addr} $HOME; ls | wc")[2..], ["$HOME;", "ls", "|", "wc"]);
    }

    #[test]
    fn what_cannot_start_a_server_is_an_error() {
        for (text, words) in [
            ("", "it is empty: write a command, as in 'ringback serve {addr}'"),
            ("  # nothing {addr}", "it is empty"),
            ("serve '{addr}", "a quote is not closed"),
            ("serve {addr} \\", "a backslash stands at its end"),
            ("ringback serve", "write {addr} (or {port} alone) where the address belongs"),
            ("{addr}", "it does not say where to listen"),
        ] {
            let error = ServerCommand::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
