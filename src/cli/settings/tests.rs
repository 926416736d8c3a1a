use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Settings that `ringback serve` makes of flags, variables and the lines of a file.
fn resolve(
    flags: &[&str],
    variables: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Settings, SettingsError> {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("ringback.toml");
    let mut arguments: Vec<OsString> = ["ringback", "serve"].map(OsString::from).into();
    if let Some(text) = file {
        fs::write(&path, text).expect("there is room");
        arguments.extend(["--config".into(), path.into_os_string()]);
    }
    arguments.extend(flags.iter().map(OsString::from));
    let (_, matches) = parse(arguments).expect("the flags are right");
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Settings::resolve(&matches, variables)
}

/// The value and origin of a setting as `--check` prints it.
fn printed(settings: &Settings, name: &str) -> (String, String) {
    let text = settings.to_toml(&[]);
    let prefix = format!("{name} = ");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix)).expect("it is printed");
    let (value, origin) = line.split_once(" # ").expect("it has an origin");
    (value.to_owned(), origin.to_owned())
}

/// Values of every setting that are not its default.
const VALUES: [(&str, &str, &str, &str); 25] = [
    ("addresses", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    ("protocol", "framed", "raw", "framed"),
    ("driver", "epoll", "uring", "tokio-uring"),
    ("spin", "1us", "2us", "3us"),
    ("cpus", "0", "0-1", "1"),
    ("workers", "1", "2", "3"),
    ("pin", "off", "on", "off"),
    ("share-port", "true", "false", "true"),
    ("memory", "1MiB", "2MiB", "3MiB"),
    ("max-connections", "1", "2", "3"),
    ("max-connections-per-ip", "1", "2", "3"),
    ("keepalive", "1s", "2s", "3s"),
    ("idle-timeout", "1s", "2s", "3s"),
    ("frame-timeout", "1s", "2s", "3s"),
    ("stall-timeout", "1s", "2s", "3s"),
    ("max-frame", "1KiB", "2KiB", "3KiB"),
    ("drain-timeout", "1s", "2s", "3s"),
    ("drain-quiet", "1ms", "2ms", "3ms"),
    ("drain-delay", "1s", "2s", "3s"),
    ("admin", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    ("hang-timeout", "2s", "3s", "4s"),
    ("sandbox", "on", "off", "auto"),
    ("log-format", "json", "text", "json"),
    ("log-level", "debug", "warn", "error"),
    ("config", "", "", ""),
];

#[test]
fn every_option_is_a_setting_with_a_value_here() {
    let names: Vec<_> = schema::settings().map(schema::Setting::name).collect();
    for name in &names {
        assert!(VALUES.iter().any(|(known, ..)| known == name), "{name} has no values");
    }
    assert_eq!(names.len(), VALUES.len());
}

#[test]
fn a_flag_is_over_a_variable_over_the_file_over_the_default() {
    for (name, flag, variable, file) in VALUES.into_iter().filter(|values| values.0 != "config") {
        let lines = format!("{name} = {:?}", file);
        let name_of_variable = format!("RINGBACK_{}", name.to_uppercase().replace('-', "_"));
        let variables = [(name_of_variable.as_str(), variable)];
        let flag_of =
            if name == "addresses" { flag.to_owned() } else { format!("--{name}={flag}") };
        let value = |settings: &Settings| {
            let (value, origin) = printed(settings, name);
            (value.trim_matches(['[', ']', '"']).to_owned(), origin)
        };
        let all = resolve(&[&flag_of], &variables, Some(&lines)).expect(name);
        assert_eq!(value(&all), (flag.to_owned(), "the command line".to_owned()), "{name}");
        let two = resolve(&[], &variables, Some(&lines)).expect(name);
        assert_eq!(value(&two), (variable.to_owned(), name_of_variable.clone()), "{name}");
        let one = resolve(&[], &[], Some(&lines)).expect(name);
        assert_eq!(value(&one).0, file, "{name}");
        assert!(value(&one).1.ends_with("ringback.toml:1"), "{:?}", value(&one));
        let none = resolve(&[], &[], None).expect(name);
        assert_eq!(value(&none).1, "default", "{name}");
    }
}

#[test]
fn each_layer_can_take_back_what_a_lower_one_said() {
    for name in ["cpus", "workers", "memory", "max-connections", "max-connections-per-ip"]
        .into_iter()
        .chain(["keepalive", "idle-timeout", "admin", "hang-timeout"])
    {
        let value = VALUES.iter().find(|(known, ..)| *known == name).expect("it is there").1;
        let lines = format!("{name} = {value:?}");
        let variable = format!("RINGBACK_{}", name.to_uppercase().replace('-', "_"));
        let by_flag = resolve(&[&format!("--{name}=off")], &[], Some(&lines)).expect(name);
        assert_eq!(printed(&by_flag, name).0, "\"off\"");
        let by_variable = resolve(&[], &[(&variable, "off")], Some(&lines)).expect(name);
        assert_eq!(printed(&by_variable, name).0, "\"off\"");
    }
    let lines = Some("share-port = true");
    let settings = resolve(&["--share-port=false"], &[], lines).expect("it is a switch");
    assert_eq!(printed(&settings, "share-port").0, "false");
    let settings = resolve(&["--share-port"], &[], None).expect("it is a switch");
    assert_eq!(printed(&settings, "share-port").0, "true");
}

#[test]
fn addresses_replace_those_of_lower_layers() {
    let lines = "addresses = [\"127.0.0.1:1\", \"[::1]:2\"]";
    let variables = [("RINGBACK_ADDRESSES", "127.0.0.1:3, [::1]:4 127.0.0.1:5")];
    let of = |settings: Result<Settings, _>| printed(&settings.expect("right"), "addresses").0;
    assert_eq!(of(resolve(&[], &[], Some(lines))), "[\"127.0.0.1:1\", \"[::1]:2\"]");
    let three = "[\"127.0.0.1:3\", \"[::1]:4\", \"127.0.0.1:5\"]";
    assert_eq!(of(resolve(&[], &variables, Some(lines))), three);
    assert_eq!(of(resolve(&["127.0.0.1:6"], &variables, Some(lines))), "[\"127.0.0.1:6\"]");
}

#[test]
fn integers_of_a_file_are_read_in_every_notation_of_toml() {
    for (written, decimal) in [
        ("0x2A", "42"),
        ("0xdead_BEEF", "3735928559"),
        ("0o17", "15"),
        ("0b1_01", "5"),
        ("1_000", "1000"),
        ("+7", "7"),
    ] {
        let lines = format!("max-connections = {written}");
        let settings = resolve(&[], &[], Some(&lines)).expect(written);
        assert_eq!(printed(&settings, "max-connections").0, decimal, "{written}");
    }
}

#[test]
fn bad_files_are_refused_with_their_line_cause_and_fix() {
    for (text, line, words) in [
        ("spin = \"1us\"\ndrain-timout = \"1s\"", 2, "did you mean drain-timeout?"),
        ("zzz = 1", 1, "ringback example-config lists them"),
        ("spin = \"x\"", 1, "spin: invalid value 'x'"),
        ("\n\nspin = [\"1us\"]", 3, "only addresses is a list"),
        ("driver = \"kqueue\"", 1, "[possible values: auto, uring, tokio-uring, epoll]"),
        ("workers = 1.5", 1, "a value of type float is none of a setting"),
        ("addresses = [[\"127.0.0.1:1\"]]", 1, "a value of type array is none of a setting"),
        ("workers = 2000", 1, "it must be from 1 to 1024"),
        ("workers = 0x7D0", 1, "it must be from 1 to 1024"),
        ("workers = -0", 1, "it must be from 1 to 1024"),
        ("max-connections = 0x1_0000_0000_0000_0000", 1, "it is too large"),
        ("addresses = []", 1, "the list is empty"),
        ("addresses = [\"--sandbox=off\"]", 1, "it is not IP:PORT"),
        ("addresses = [\"--\"]", 1, "it is not IP:PORT"),
        ("addresses = [\"-h\"]", 1, "it is not IP:PORT"),
        ("addresses = [\"127.0.0.1:1\",\n\"nonsense\"]", 2, "it is not IP:PORT"),
        ("spin = \"1us\"\nspin = \"2us\"", 2, "duplicate key"),
        ("[serve]\nspin = \"1us\"", 1, "there is no setting \"serve\""),
        ("spin = ", 1, ""),
        ("config = \"other.toml\"", 1, "a file cannot name another"),
        ("check = true", 1, "there is no setting \"check\""),
        ("keepalive = false", 1, "invalid value 'false'"),
    ] {
        let error = resolve(&[], &[], Some(text)).expect_err(text).to_string();
        assert!(error.contains(&format!("ringback.toml:{line}: ")), "{text:?}: {error}");
        assert!(error.contains(words), "{text:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn an_admin_address_is_none_of_the_server() {
    let check = |address, admin| {
        let settings = resolve(&[address], &[("RINGBACK_ADMIN", admin)], None).expect("they parse");
        settings.options.check_admin().map_err(|error| settings.blame("admin", &error).to_string())
    };
    let error = check("127.0.0.1:7", "127.0.0.1:7").expect_err("they are one");
    assert!(error.starts_with("RINGBACK_ADMIN: --admin 127.0.0.1:7 and the server's"), "{error}");
    for (address, admin) in [
        ("0.0.0.0:7", "127.0.0.1:7"),
        ("127.0.0.1:7", "0.0.0.0:7"),
        // Of all IPv6 addresses, and with them of all of IPv4.
        ("127.0.0.1:7", "[::]:7"),
        ("[::]:7", "[::1]:7"),
        ("[fe80::1%lo]:7", "[fe80::1%1]:7"),
    ] {
        check(address, admin).expect_err(admin);
    }
    for (address, admin) in [
        ("127.0.0.1:7", "127.0.0.1:8"),
        ("127.0.0.1:7", "127.0.0.2:7"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        // A server's takes IPv6 alone.
        ("[::]:7", "127.0.0.1:7"),
        ("127.0.0.1:7", "[::1]:7"),
        ("127.0.0.1:7", "off"),
    ] {
        assert_eq!(check(address, admin), Ok(()), "{address} {admin}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_whoever_named_it() {
    let missing = ["--config", "/nonexistent/ringback.toml"];
    let error = resolve(&missing, &[], None).expect_err("it is missing").to_string();
    assert!(
        error.starts_with("cannot read /nonexistent/ringback.toml, named by --config: No such")
    );
    let variables = [("RINGBACK_CONFIG", "/")];
    let error = resolve(&[], &variables, None).expect_err("it is a directory").to_string();
    assert!(error.starts_with("cannot read /, named by RINGBACK_CONFIG: "), "{error}");
}

#[test]
fn bad_variables_are_refused_by_name() {
    for (name, value, words) in [
        ("RINGBACK_DRAIN_TIMOUT", "1s", "did you mean RINGBACK_DRAIN_TIMEOUT?"),
        ("RINGBACK_SPIN", "x", "invalid value 'x'"),
        ("RINGBACK_SPIN", "", "it must begin with a number"),
        ("RINGBACK_ADDRESSES", "--sandbox=off", "it is not IP:PORT"),
        ("RINGBACK_CHECK", "true", "there is no setting of this name"),
        ("RINGBACK_share_port", "true", "did you mean RINGBACK_SHARE_PORT?"),
        ("RINGBACK_", "", "there is no setting of this name"),
    ] {
        let error = resolve(&[], &[(name, value)], None).expect_err(name).to_string();
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn variables_of_a_kubernetes_service_are_skipped_with_one_note() {
    let of_service = [
        ("RINGBACK_SERVICE_HOST", "10.0.0.1"),
        ("RINGBACK_SERVICE_PORT", "7"),
        ("RINGBACK_PORT", "tcp://10.0.0.1:7"),
        ("RINGBACK_PORT_7_TCP_ADDR", "10.0.0.1"),
        ("RINGBACKUP", "of somebody else"),
    ];
    let settings = resolve(&[], &of_service, None).expect("they are none of ours");
    assert_eq!(settings.notes.len(), 1, "{:?}", settings.notes);
    assert!(settings.notes[0].starts_with("4 variables of a Kubernetes Service"));
    let is_of_service = |name: &str| name == "port" || name.starts_with("service");
    assert!(!schema::settings().any(|setting| is_of_service(setting.name())));
}

#[test]
fn the_example_holds_every_setting_and_its_default() {
    let example = example();
    let uncommented: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(char::is_alphabetic) => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    resolve(&[], &[], Some(&example)).expect("the example is right");
    let settings = resolve(&[], &[], Some(&uncommented)).expect("the defaults are right");
    let bare = resolve(&[], &[], None).expect("the defaults are right");
    for setting in schema::settings().filter(|setting| setting.name() != schema::FILE) {
        let name = setting.name();
        assert_eq!(printed(&settings, name).0, printed(&bare, name).0, "{name}");
    }
    assert!(example.lines().all(|line| line.len() <= 100), "a line is too long");
}

proptest! {
    /// The output of `--check` resolves to itself, whatever was given where.
    #[test]
    fn what_is_printed_resolves_to_itself(
        given in vec((select(&VALUES[..24]), 0..3_usize, 0..3_usize), 0..8),
    ) {
        let (mut flags, mut variables, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        let mut named = Vec::new();
        for ((name, one, two, three), layer, which) in given {
            if named.contains(&(name, layer)) {
                continue;
            }
            named.push((name, layer));
            let value = [one, two, three][which];
            match layer {
                0 if name == "addresses" => flags.push(value.to_owned()),
                0 => flags.push(format!("--{name}={value}")),
                1 => {
                    let variable = name.to_uppercase().replace('-', "_");
                    variables.push((format!("RINGBACK_{variable}"), value));
                }
                _ => lines.push(format!("{name} = {value:?}")),
            }
        }
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let first = resolve(&flags, &variables, Some(&lines.join("\n"))).expect("all are right");
        let text = first.to_toml(&[]);
        let second = resolve(&[], &[], Some(&text)).expect("what was printed is right");
        let values = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split(" # ").next().unwrap_or("").to_owned()).collect()
        };
        prop_assert_eq!(values(&text), values(&second.to_toml(&[])));
    }
}
