//! Losses: connections that failed, messages without their reply.

use crate::load::format::{count, counted, nanos};
use crate::load::record::ending::Ending;
use crate::load::record::recorder::{CarriedOver, Recorder, Totals};

pub(super) fn of_all(gone_after_ns: u64) -> String {
    format!("no connection was left {} after the run started: it ended early", nanos(gone_after_ns))
}

/// Connections that could not be made, or ended before the run did.
pub(super) fn of_connections(recorder: &Recorder) -> Vec<String> {
    let totals = &recorder.totals;
    let attempts = count(totals.connect_errors + totals.connections);
    let failures = recorder.connect_failures.iter().map(|(failure, connections)| {
        format!("{} of {attempts} connections could not be made: {failure}", count(*connections))
    });
    let endings = recorder.endings.iter().map(|(ending, connections)| {
        format!("{} {}", counted(*connections, "connection"), describe(*ending))
    });
    failures.chain(endings).collect()
}

/// Connections that this host, not the server, did not make.
pub(super) fn of_generator(recorder: &Recorder) -> Option<String> {
    let mut own = recorder.connect_failures.keys().filter(|failure| failure.is_ours());
    own.next().map(|failure| format!("the generator could not make all connections: {failure}"))
}

/// Returns whether connections are missing, and nothing tells of a fault of the server: what was not
/// sent or not answered in time may have lacked a connection.
pub(super) fn are_of_generator_alone(recorder: &Recorder) -> bool {
    let Totals { lost, corrupted, .. } = recorder.totals;
    let failures = &recorder.connect_failures;
    let are_own = !failures.is_empty() && failures.keys().all(|failure| failure.is_ours());
    are_own && lost == 0 && corrupted == 0 && recorder.endings.is_empty()
}

/// Messages that were not sent, not answered, or answered wrongly.
pub(super) fn of_messages(recorder: &Recorder) -> Vec<String> {
    let totals = &recorder.totals;
    let mut reasons = Vec::new();
    if totals.lost > 0 {
        reasons.push(format!(
            "{} of {} messages sent were lost: no reply within --timeout of the window, or before \
             their connection ended",
            count(totals.lost),
            count(totals.sent),
        ));
    }
    if totals.corrupted > 0 {
        reasons.push(format!(
            "{} of {} replies were corrupted: not the bytes that were sent",
            count(totals.corrupted),
            count(totals.received),
        ));
    }
    if totals.unsent > 0 {
        reasons.push(format!(
            "{} of {} intended messages were never sent: every connection was full or gone",
            count(totals.unsent),
            count(totals.intended),
        ));
    }
    if recorder.window_received == 0 {
        reasons.push("no message of the measured window was answered".to_owned());
    }
    reasons
}

/// Connections whose window is missing: they waited all through it.
pub(super) fn of_silent_connections(recorder: &Recorder) -> Option<String> {
    let CarriedOver { silent_connections, .. } = recorder.carried_over;
    (silent_connections > 0).then(|| {
        format!(
            "{} had no answer in the window: what they waited for was sent before it, was answered \
             after it or could not be sent; see why the server left them waiting, or measure for \
             longer",
            counted(silent_connections, "connection"),
        )
    })
}

fn describe(ending: Ending) -> String {
    match ending {
        Ending::Closed => "closed by the server".to_owned(),
        Ending::Reset => "reset by the server".to_owned(),
        Ending::GoAway => "told that the server is draining (GOAWAY)".to_owned(),
        Ending::Error(code) => match crate::protocol::ErrorCode::from_wire(code) {
            Some(known) => format!("refused with ERROR {code}: {known}"),
            None => format!("refused with ERROR {code}"),
        },
        Ending::BadReply => "given up after a malformed, altered or misplaced reply".to_owned(),
        Ending::Unclosed => "given up: the server did not close it after the client had".to_owned(),
        Ending::Surplus => "given up: more came back than was sent".to_owned(),
        Ending::Socket(error) => format!("failed: {}", std::io::Error::from_raw_os_error(error)),
    }
}
