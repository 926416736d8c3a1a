//! The commands of the guide to many hosts, as they stand there, with launchers that start
//! everything on this host. Those for Kubernetes are run by `scripts/deploy-check.sh`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::Program;

const GUIDE: &str = include_str!("../../src/guide/many_hosts.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_ringback-load");
/// The load and the time of the guide, and those of a test.
const LOAD: (&str, &str) = ("-r 90k -c 96", "-r 600 -c 7 -d 300ms --warmup 100ms");
const DELAY: &str = "20 seconds";
/// Seconds until the start: enough on a calm machine, and on one that is not.
const DELAYS: [u64; 3] = [3, 8, 25];

/// Runs its words on this host.
const SSH: &str = "#!/bin/sh\nshift\nexec \"$@\"\n";
/// Runs as many tasks as `-n` says.
const SRUN: &str = "#!/bin/sh
tasks=$2
shift 2
for task in $(seq 0 $((tasks - 1))); do
    SLURM_PROCID=$task SLURM_NTASKS=$tasks \"$@\" &
done
wait
";

/// The first block of commands below a heading.
fn block(heading: &str) -> String {
    let (_, chapter) = GUIDE.split_once(&format!("\n# {heading}\n")).expect("the chapter is there");
    let (_, rest) = chapter.split_once("```sh\n").expect("it has a block");
    rest.split_once("```").expect("the block has an end").0.to_owned()
}

/// A directory where logs are to be left, with launchers.
struct Site {
    directory: TempDir,
    program: Program,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, script) in [("ssh", SSH), ("srun", SRUN)] {
            let file = directory.path().join(name);
            fs::write(&file, script).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let program = Program::start(&["serve", "127.0.0.1:0", "--workers", "1"], 1);
        Self { directory, program }
    }

    /// A command of the guide, with the server, the load and the delay of a test.
    fn shell(&self, command: &str, delay_s: u64) -> Output {
        let target = self.program.addresses[0].to_string();
        let command = command
            .replace("10.0.0.1:65432", &target)
            .replace(LOAD.0, LOAD.1)
            .replace(DELAY, &format!("{delay_s} seconds"));
        let own = [self.directory.path(), Path::new(PROGRAM).parent().unwrap()];
        let others = std::env::var("PATH").unwrap();
        let path = own.map(|path| path.display().to_string()).join(":");
        Command::new("sh")
            .args(["-ec", &command])
            .current_dir(self.directory.path())
            .env("PATH", format!("{path}:{others}"))
            .output()
            .unwrap()
    }

    /// Runs the parts until they are in time, and merges them: all are there.
    fn assert_makes_one_run(&self, command: &str) {
        for delay_s in DELAYS {
            let output = self.shell(command, delay_s);
            let said = String::from_utf8(output.stderr).unwrap();
            if said.contains(" was missed by ") {
                continue;
            }
            assert!(said.contains("part 2/3 of open loop 600/s, 7 connections"), "{said}");
            let merged = self.shell(&block("Merge"), delay_s);
            let text = String::from_utf8(merged.stdout).unwrap();
            assert!(matches!(merged.status.code(), Some(0 | 4)), "{text}");
            // Those of all, whatever a busy machine does to their verdict.
            assert!(text.contains("180 samples"), "{text}");
            assert!(!text.contains("missing") && !text.contains("no result"), "{text}");
            return;
        }
        panic!("this machine does not connect within 25 s");
    }
}

#[test]
fn a_shell_loop_over_ssh_makes_one_run() {
    Site::new().assert_makes_one_run(&block("ssh"));
}

#[test]
fn a_line_for_slurm_makes_one_run() {
    Site::new().assert_makes_one_run(&block("Slurm"));
}
