//! An example of a configuration file, made of the help texts.

use super::print::value_of;
use super::schema::{self, FILE, Setting};

const HEADER: &str = "\
# ringback serve --config FILE reads this file. Each key is an option of ringback serve: a flag or a
# variable (RINGBACK_DRAIN_TIMEOUT for drain-timeout) has precedence. Lines that are commented out
# show the defaults; off takes back what has no other value.
";
/// Width of the comments.
const COLUMNS: usize = 98;

/// A configuration file in which every setting has its default, commented out.
pub fn example() -> String {
    let settings = schema::settings().filter(|setting| setting.name() != FILE);
    settings.map(entry).fold(HEADER.to_owned(), |text, entry| text + "\n" + &entry)
}

fn entry(setting: Setting) -> String {
    let mut help = setting.help();
    let words = setting.possible_values();
    if !words.is_empty() {
        help += &format!(" ({})", words.join(", "));
    }
    let default = value_of(setting.default().unwrap_or("off"));
    let value = if setting.is_list() { format!("[{default}]") } else { default };
    format!("{}#{} = {value}\n", comment(&help), setting.name())
}

/// Words in lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one");
        if last.len() + 1 + word.len() > COLUMNS {
            lines.push(format!("# {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}
