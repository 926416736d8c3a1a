//! Texts that wait to be written, and the count of those that did not fit.

use std::collections::VecDeque;

/// Texts that wait at most. A server says a few lines in its life: so many mean that nobody reads,
/// and a few hundred KiB are all that is spent on them.
pub(super) const MAX_TEXTS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Queue {
    texts: VecDeque<String>,
    dropped: u64,
    /// The last write failed, so that a notice is not tried again before there is another text.
    is_refused: bool,
}

/// Something to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    Queued(String),
    /// That so many texts were dropped.
    Notice {
        dropped: u64,
        text: String,
    },
}

impl Queue {
    /// Takes a text, or counts it where there is no room.
    pub(super) fn push(&mut self, text: String) {
        self.is_refused = false;
        if self.texts.len() < MAX_TEXTS {
            self.texts.push_back(text);
        } else {
            self.dropped += 1;
        }
    }

    /// The next text; after the last, the count of what was dropped.
    pub(super) fn pop(&mut self) -> Option<Text> {
        self.texts.pop_front().map(Text::Queued).or_else(|| self.notice())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && !self.has_notice()
    }

    /// A text that was taken could not be written.
    pub(super) fn handle_refused(&mut self, text: &Text) {
        self.is_refused = true;
        self.dropped += match text {
            Text::Queued(_) => 1,
            Text::Notice { dropped, .. } => *dropped,
        };
    }

    fn notice(&mut self) -> Option<Text> {
        if !self.has_notice() {
            return None;
        }
        let dropped = std::mem::take(&mut self.dropped);
        let lines = if dropped == 1 { "line was" } else { "lines were" };
        let text = format!(
            "warning: {dropped} log {lines} dropped: standard error was not read, or refused \
             them; read it, or send it to a file with room\n"
        );
        Some(Text::Notice { dropped, text })
    }

    fn has_notice(&self) -> bool {
        self.dropped > 0 && !self.is_refused
    }
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Queued(text) | Self::Notice { text, .. } => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<Text> {
        Some(Text::Queued(text.to_owned()))
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_after_the_rest() {
        let mut queue = Queue::default();
        (0..MAX_TEXTS + 2).for_each(|number| queue.push(number.to_string()));
        for number in 0..MAX_TEXTS {
            assert_eq!(queue.pop(), text(&number.to_string()));
        }
        let notice = queue.pop().expect("two were dropped");
        assert!(notice.as_str().starts_with("warning: 2 log lines were dropped: "));
        assert!(queue.is_empty());
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn what_is_refused_is_told_with_the_next_text_and_not_tried_for_ever() {
        let mut queue = Queue::default();
        queue.push("lost".to_owned());
        let lost = queue.pop().expect("it is there");
        queue.handle_refused(&lost);
        assert!(queue.is_empty());
        assert_eq!(queue.pop(), None);
        queue.push("again".to_owned());
        assert_eq!(queue.pop(), text("again"));
        let notice = queue.pop().expect("one was lost");
        assert!(notice.as_str().starts_with("warning: 1 log line was dropped: "));
        queue.handle_refused(&notice);
        assert_eq!(queue.pop(), None);
        queue.push("once more".to_owned());
        queue.pop();
        assert!(queue.pop().expect("still told").as_str().starts_with("warning: 1 log line was"));
    }
}
