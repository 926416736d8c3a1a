//! Mistakes on the command line, and what both programs say of each: the cause, and what to write.

use std::process::Command;

const SERVER: &str = env!("CARGO_BIN_EXE_ringback");
const LOAD: &str = env!("CARGO_BIN_EXE_ringback-load");

/// The words behind the program, the exit code, and words of the message.
type Case = (&'static [&'static str], i32, &'static str);

const OF_SERVER: &[Case] = &[
    (
        &["serve", "8080"],
        64,
        "write 127.0.0.1:8080 for this host alone, 0.0.0.0:8080 [::]:8080 for all",
    ),
    (&["serve", ":8080"], 64, "it is not IP:PORT: write 0.0.0.0:8080 [::]:8080\n"),
    (&["serve", "*:8080"], 64, "it is not IP:PORT: write 0.0.0.0:8080 [::]:8080\n"),
    (&["serve", "--admin", ":9465"], 64, "it is not IP:PORT: write 127.0.0.1:9465, or write off"),
    (&["serve", "--admin", "9465"], 64, "it is not IP:PORT: write 127.0.0.1:9465, or write off"),
    (&["serve", "--admin", "::1"], 64, "it has no port: write [::1]:9465, or write off"),
    (&["health", "*:9465"], 64, "it is not IP:PORT: write 127.0.0.1:9465\n"),
    (&["8080"], 64, "there is no command 8080: write ringback serve 127.0.0.1:8080\n"),
    (&["*:80"], 64, "there is no command *:80: write ringback serve 127.0.0.1:80\n"),
    (&["[::1]:80"], 64, "there is no command [::1]:80: write ringback serve [::1]:80\n"),
    (&["srve"], 64, "there is no command srve: did you mean serve?\n"),
    (&["xyz"], 64, "there is no command xyz: see ringback --help\n"),
    (&["serve", "example.com:80"], 64, "names are not looked up: write the IP address"),
    (&["serve", "127.0.0.1"], 64, "it has no port: write 127.0.0.1:65432"),
    (&["serve", "[::1]"], 64, "it has no port: write [::1]:65432"),
    (&["serve", "::1:7"], 64, "an IPv6 address stands in brackets: write [::1]:7"),
    (&["serve", "127.0.0.1:99999"], 64, "ports end at 65535: write 127.0.0.1:65432"),
    (&["serve", "--check", "localhost:7000"], 0, "the configuration is valid"),
    (&["serve", "127.0.0.1", "8080"], 64, "host and port are one word: write 127.0.0.1:8080"),
    (&["serve", "--port", "80"], 64, "ringback: there is no option --port: the address is an arg"),
    (&["serve", "--host", "::"], 64, "there is no option --host: the address is an argument"),
    (
        &["serve", "-p", "80"],
        64,
        "there is no option -p: the address is an argument, as in ringback",
    ),
    (&["serve", "-threads", "4"], 64, "there is no option -t: write --workers N"),
    (&["serve", "-n", "4"], 64, "there is no option -n: write --workers N"),
    (&["serve", "--drain-time", "1s"], 64, "did you mean --drain-timeout?"),
    (&["serve", "--nonsense"], 64, "there is no option --nonsense: see ringback serve --help"),
    (&["serve", "--idle-timeout", "-1s"], 64, "--idle-timeout -1s: nothing here is less than 0"),
    (&["serve", "--idle-timeout=-1s"], 64, "--idle-timeout -1s: nothing here is less than 0"),
    (&["serve", "--idle-timeout", "never"], 64, "'--idle-timeout <TIME|off>': write off\n"),
    (&["serve", "--idle-timeout", "x"], 64, "it must begin with a number: write 10s, or write off"),
    (&["serve", "--max-connections", "unlimited"], 64, "'--max-connections <N|off>': write off\n"),
    (&["serve", "--max-connections", "20,000"], 64, "write 20000, or write off"),
    (&["serve", "--drain-timeout", "off"], 64, "it must begin with a number: write 10s\n"),
    (&["serve", "--spin", "50"], 64, "it has no unit: use ns, us, ms, s, m or h, as in 50us"),
    (&["serve", "--check", "--drain-timeout", "0"], 0, "the configuration is valid"),
    (&["serve", "--workers", "1", "--workers", "2"], 64, "cannot be used multiple times"),
    (&["serve", ":70000"], 64, "ports end at 65535: write 127.0.0.1:65432"),
    (
        &["localhost"],
        64,
        "there is no command localhost: write ringback serve and an address, as in",
    ),
    (&["serve", "--workers", "0"], 64, "it must be from 1 to 1024"),
    (&["serve", "--memory", "1MB"], 64, "as in 1MiB, of 1048576 bytes"),
    (&["serve", "--memory", "65.536k"], 64, "use KiB, MiB, GiB or none, as in 64KiB, or write off"),
    (
        &["serve", "--check", "--memory", "1KiB", "--workers", "1"],
        64,
        "--memory 1KiB is too little for 1 worker: give at least ",
    ),
    (
        &["serve", "--drain-timeout", "10"],
        64,
        "it has no unit: use ns, us, ms, s, m or h, as in 10s",
    ),
    (&["serve", "--check", "--max-connections", "20K"], 0, "the configuration is valid"),
    (
        &["serve", "--check", "--max-frame", "1KiB"],
        0,
        "note: max-frame has no effect: --protocol raw has no frames",
    ),
];

const OF_LOAD: &[Case] = &[
    (&["127.0.0.1", "8080"], 2, "host and port are one word: write 127.0.0.1:8080"),
    (&["sweep", "localhost", "80"], 2, "host and port are one word: write localhost:80"),
    (&["::1", "8080"], 2, "host and port are one word: write [::1]:8080"),
    (&["8080"], 2, "TARGET \"8080\" is not HOST:PORT: write 127.0.0.1:8080"),
    (&[":8080"], 2, "TARGET \":8080\" is not HOST:PORT: write 127.0.0.1:8080"),
    (&["localhost"], 2, "TARGET \"localhost\" is not HOST:PORT: write localhost:65432"),
    (&["::1"], 2, "TARGET \"::1\" is not HOST:PORT: write [::1]:65432"),
    (&["http://127.0.0.1:80"], 2, "is not HOST:PORT: it is a URL: write 127.0.0.1:80"),
    (&["swep"], 2, "ringback-load: there is no command swep: did you mean sweep?\n"),
    (&["swep", "127.0.0.1:1"], 2, "ringback-load: there is no command swep: did you mean sweep?\n"),
    (&["help", "swep"], 2, "ringback-load: there is no command swep: did you mean sweep?\n"),
    (&["server"], 2, "TARGET \"server\" is not HOST:PORT: write server:65432; commands are"),
    (&["find"], 2, "there is no command find: did you mean find-max?\n"),
    (&["plt", "run.json"], 2, "there is no command plt: did you mean plot?\n"),
    (&["127.0.0.1:1", "sweep"], 2, "sweep must come first: write ringback-load sweep, then its"),
    (&["-d", "1s", "plot"], 2, "plot must come first: write ringback-load plot, then its options"),
    (&["sweep", "127.0.0.1:1", "--rates", "1k", "--rates", "2k"], 2, "--rates"),
    (&["-v", "-q"], 2, "cannot be used with"),
    (&["-q", "20k"], 2, "-q is --quiet and takes no number: write --rate 20k\n"),
    (&["-q", "0"], 2, "TARGET \"0\" is not HOST:PORT"),
    (&["-q", "100"], 2, "-q is --quiet and takes no number: write --rate 100\n"),
    (&["-q", "100", "127.0.0.1:1"], 2, "-q is --quiet and takes no number: write --rate 100\n"),
    (&["--max-frame", "1KiB"], 2, "there is no option --max-frame: frames are as large as --size"),
    (&["--host", "x"], 2, "ringback-load: there is no option --host: the target is an argument"),
    (&["--port", "80"], 2, "there is no option --port: the target is an argument"),
    (&["-n", "100"], 2, "there is no option -n: the length of a run is a time: write -d 10s"),
    (&["sweep", "-n", "100"], 2, "there is no option -n: the length of a run is a time"),
    (&["-c", "10.0.0.1:7"], 2, "the target is an argument, as in ringback-load 10.0.0.1:7 -c 64"),
    (&["-rate=100/s"], 2, "ringback-load: -rate is no option: write --rate"),
    (&["-duration", "10s"], 2, "-duration is no option: write --duration"),
    (&["compare", "server a", "server b"], 2, "one word too many: write --a CMD --b CMD"),
    (&["--threshold", "p(95)<200"], 2, "there is no option --threshold: write --assert"),
    (&["-J"], 2, "there is no option -J: write --format json, or -o run.json"),
    (&["--export-markdown", "x.md"], 2, "there is no option --export-markdown: write --format"),
    (&["--stage", "10s:100"], 2, "there is no option --stage: write ringback-load sweep --rates"),
    (&["-w", "3"], 2, "there is no option -w: write --warmup TIME"),
    (&["--assert", "p(95)<200ms"], 2, "\"p(95)\" is not a metric: write p95"),
    (&["--connection", "5"], 2, "did you mean --connections?"),
    (&["--xyz"], 2, "there is no option --xyz: see ringback-load --help"),
    (&["--warmup", "-1s"], 2, "--warmup -1s: nothing here is less than 0"),
    (&["-d", "10"], 2, "it has no unit: use ns, us, ms, s, m or h, as in 10s"),
    (&["-d", "5min"], 2, "\"min\" is not a unit of it: use ns, us, ms, s, m or h, as in 5m"),
    (&["-d", "1ms"], 2, "--duration of less than 10ms measures nothing: use 1s or more"),
    (
        &["-t", "99", "-c", "10"],
        2,
        "of which each needs one: use --threads 10 or more --connections",
    ),
    (&["-d", "0"], 2, "--duration of less than 10ms measures nothing: use 1s or more"),
    (&["-d", "1m30s"], 2, "\"m30s\" is not a unit of it: use ns, us, ms, s, m or h, as in 90s"),
    (&["-r", "20,000"], 2, "commas part the items of a list: write 20000\n"),
    (&["--rates", "1"], 2, "there is no option --rates: did you mean --rate?"),
    (&["-t", "0"], 2, "--threads 0 is not possible: use 1 to 1024"),
    (&["--depth", "0"], 2, "--depth 0 is not possible: use 1 to 65536"),
    (&["-c", "8994816"], 2, "--connections 8994816 is not possible: use 1 to 1M"),
    (&["-s", "1MB"], 2, "as in 1MiB, of 1048576 bytes"),
    (&["-s", "1k"], 2, "as in 1KiB, of 1024 bytes"),
    (&["-s", "64-128"], 2, "a range is 64..128"),
    (&["-r", "20x"], 2, "\"x\" is not a unit of it: use k, M, G or none, as in 10k"),
    (&["-r", "0/s"], 2, "--rate 0 is not possible: use 1 to 1G"),
    (&["-r", "0K"], 2, "--rate 0 is not possible: use 1 to 1G"),
    (&["--timeout", "1us"], 2, "--timeout 1us is not possible: use 1ms to 2400h"),
    (
        &["--assert", "errors==0"],
        2,
        "a run is INVALID (exit code 4) as soon as one message is lost",
    ),
    (&["--assert", "rps>=100"], 2, "\"rps\" is not a metric: write throughput; use p50, p99"),
    (&["--assert", "p99==1ms"], 2, "it compares nothing: use <, <=, > or >=, as in 'p99<200us'"),
    (&["--percentiles", "100"], 2, "100 is not a percentile: it must be above p0 and below p100"),
    (&["--assert", "p99<200"], 2, "it has no unit: use ns, us, ms, s, m or h, as in 200us"),
    (&["sweep", "-r", "10k"], 2, "--rate is one rate: sweep takes its rates from --rates"),
    (&["sweep", "--rates", "10,000..50,000:10,000"], 2, "write 10000..50000:10000"),
    (&["sweep", "--rates", "10k:50k:10k"], 2, "is not a range: write 10k..50k:10k"),
    (&["sweep", "--rates", "10k-50k"], 2, "\"10k-50k\" has no step: write 10k..50k:10k"),
    (&["sweep", "--rates", "10k..50k"], 2, "\"10k..50k\" has no step: write 10k..50k:10k"),
    (&["127.0.0.1:1", "--part", "3/3"], 2, "there is no part 3 of 3: they count from 0 to 2"),
    (&["127.0.0.1:1", "--part", "1"], 2, "the number of a part and how many there are, as in 0/3"),
    (&["127.0.0.1:1", "--part", "0/0"], 2, "0 parts are not possible: use 1 to 100k"),
    (
        &["--part", "0/3"],
        2,
        "--part 0/3 without a TARGET would load a server that no other part does: name the server",
    ),
    (
        &["127.0.0.1:1", "--part", "0/5", "-c", "3"],
        2,
        "--connections 3 cannot be shared by 5 parts, of which each needs one: use more \
         --connections",
    ),
    (
        &["127.0.0.1:1", "--part", "0/5", "-r", "1", "-d", "4s"],
        2,
        "--rate 1 cannot be shared by 5 parts: some would have no message in the window; use a \
         higher",
    ),
    (
        &["127.0.0.1:1", "--part", "0/2", "-c", "5", "-t", "4"],
        2,
        "--threads 4 are more than --connections 3, this part's of 5, of which each needs one",
    ),
    (
        &["sweep", "127.0.0.1:1", "--part", "0/2"],
        2,
        "there is no option --part: many generators make one load, without a command: write",
    ),
    (&["127.0.0.1:1", "--start-at", "18:00"], 2, "nor seconds since 1970, as date +%s prints them"),
    (
        &["127.0.0.1:1", "--start-at", "2026-12-24T18:00:00"],
        2,
        "it has no offset from UTC: write 2026-12-24T18:00:00Z, or the offset, as in +01:00",
    ),
    (&["127.0.0.1:1", "--start-at", "1700000000000"], 2, "it is after the year 9999: it counts in"),
    (
        &["127.0.0.1:1", "--start-at", "1700000000"],
        1,
        "the start at 2023-11-14T22:13:20Z was missed by ",
    ),
    (
        &["127.0.0.1:1", "--start-at", "1700000000"],
        1,
        ": the generator was started after it; nothing was measured; give all parts a later \
         --start-at",
    ),
    (&["merge", "a.hlog", "--server-metrics", "before"], 2, "2 values required"),
    (&["-v", "-q"], 2, "the argument '--verbose' cannot be used with '--quiet'"),
];

#[test]
fn mistakes_are_told_with_what_to_write_instead() {
    for (program, cases) in [(SERVER, OF_SERVER), (LOAD, OF_LOAD)] {
        for (arguments, code, words) in cases {
            let output = Command::new(program).args(*arguments).output().expect("it starts");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).expect("it is text");
            assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
            assert!(said.contains(words), "{arguments:?}: {words:?} in {said}");
            assert!(!said.contains("to pass '"), "no value begins with a hyphen: {said}");
        }
    }
}
