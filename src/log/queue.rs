//! Texts that wait to be written, and the count of those that did not fit.

use std::collections::VecDeque;

/// Texts that wait at most. A server says a few lines in its life: so many mean that nobody reads,
/// and a few hundred KiB are all that is spent on them.
pub(super) const MAX_TEXTS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Queue {
    texts: VecDeque<String>,
    /// Those of which nobody was told.
    dropped: u64,
    dropped_in_all: u64,
    /// Those that the notice which was taken last told of; 0 if that was no notice.
    told: u64,
    /// The last write failed, so that a notice is not tried again before there is another text.
    is_refused: bool,
}

impl Queue {
    /// Takes a text, or counts it where there is no room.
    pub(super) fn push(&mut self, text: String) {
        self.is_refused = false;
        if self.texts.len() < MAX_TEXTS {
            self.texts.push_back(text);
        } else {
            self.drop(1);
        }
    }

    /// The next text; after the last, a notice of what was dropped, as a line of the log.
    pub(super) fn pop(&mut self, render: impl FnOnce(String) -> String) -> Option<String> {
        self.told = 0;
        self.texts.pop_front().or_else(|| self.notice().map(render))
    }

    /// Lines that nobody saw, since the start.
    pub(super) fn dropped_in_all(&self) -> u64 {
        self.dropped_in_all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && !self.has_notice()
    }

    /// The text that was taken last could not be written.
    pub(super) fn handle_refused(&mut self) {
        self.is_refused = true;
        if self.told > 0 {
            self.dropped += self.told;
        } else {
            self.drop(1);
        }
    }

    fn drop(&mut self, texts: u64) {
        self.dropped += texts;
        self.dropped_in_all += texts;
    }

    fn notice(&mut self) -> Option<String> {
        if !self.has_notice() {
            return None;
        }
        self.told = std::mem::take(&mut self.dropped);
        let lines = if self.told == 1 { "line was" } else { "lines were" };
        Some(format!(
            "{} log {lines} dropped: standard error was not read, or refused them; read it, or send \
             it to a file with room",
            self.told
        ))
    }

    fn has_notice(&self) -> bool {
        self.dropped > 0 && !self.is_refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(queue: &mut Queue) -> Option<String> {
        queue.pop(|notice| format!("notice: {notice}"))
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_after_the_rest() {
        let mut queue = Queue::default();
        (0..MAX_TEXTS + 2).for_each(|number| queue.push(number.to_string()));
        for number in 0..MAX_TEXTS {
            assert_eq!(pop(&mut queue), Some(number.to_string()));
        }
        let notice = pop(&mut queue).expect("two were dropped");
        assert!(notice.starts_with("notice: 2 log lines were dropped: "));
        assert!(queue.is_empty());
        assert_eq!(pop(&mut queue), None);
        assert_eq!(queue.dropped_in_all(), 2);
    }

    #[test]
    fn what_is_refused_is_told_with_the_next_text_and_not_tried_for_ever() {
        let mut queue = Queue::default();
        queue.push("lost".to_owned());
        pop(&mut queue).expect("it is there");
        queue.handle_refused();
        assert!(queue.is_empty());
        assert_eq!(pop(&mut queue), None);
        queue.push("again".to_owned());
        assert_eq!(pop(&mut queue), Some("again".to_owned()));
        let notice = pop(&mut queue).expect("one was lost");
        assert!(notice.starts_with("notice: 1 log line was dropped: "));
        queue.handle_refused();
        assert_eq!(pop(&mut queue), None);
        queue.push("once more".to_owned());
        pop(&mut queue);
        assert!(pop(&mut queue).expect("still told").starts_with("notice: 1 log line was"));
        assert_eq!(queue.dropped_in_all(), 1);
    }
}
