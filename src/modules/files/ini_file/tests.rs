//! What becomes of a file: the answers of community.general's module to the same arguments, recorded.

use super::*;
use crate::modules::testing::{check_agrees, failure, run};
use crate::system::fake::Fake;

const FILE: &str = "# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n";

/// What community.general's module makes of it: before, arguments, after (none: as before), message.
type Case = (&'static str, &'static str, Option<&'static str>, &'static str);

const CASES: &[Case] = &[
    (FILE, r#""section": "a", "option": "x", "value": "1""#, None, "OK"),
    (
        FILE,
        r#""section": "a", "option": "x", "value": "9""#,
        Some("# top\n\n[a]\nx = 9\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a", "option": "y", "value": "5""#,
        Some("# top\n\n[a]\nx = 1\ny = 5\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a", "option": "z", "value": "3""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\nz = 3\n\n[b]\nk\nx=1\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a", "option": "new", "value": "v""#,
        Some("# top\n\n[a]\nx = 1\nnew = v\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "c", "option": "n", "value": "v""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n[c]\nn = v\n"),
        "section and option added",
    ),
    (
        FILE,
        r#""section": "a", "state": "absent""#,
        Some("# top\n\n[b]\nk\nx=1\nx=2\n"),
        "section removed",
    ),
    (
        FILE,
        r#""section": "b", "state": "absent""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n"),
        "section removed",
    ),
    (
        FILE,
        r#""section": "a", "option": "x", "state": "absent""#,
        Some("# top\n\n[a]\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "state": "absent""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "value": "2", "state": "absent", "exclusive": false"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "value": "2", "state": "absent""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "values": ["1", "2", "3"]"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx = 1\nx = 2\nx = 3\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "values": ["1", "3"]"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx = 1\nx = 3\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "value": "3", "exclusive": false"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\nx = 3\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "values": ["3", "2"], "exclusive": false"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx = 2\nx = 3\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "b", "option": "k", "allow_no_value": true"#,
        None,
        "OK",
    ),
    (
        FILE,
        r#""section": "b", "option": "m", "allow_no_value": true"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\nm\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "b", "option": "k", "value": "2""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk = 2\nx=1\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "allow_no_value": true"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "n", "value": """#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\nn = \n"),
        "option added",
    ),
    (
        FILE,
        r#""option": "x", "value": "0""#,
        Some("x = 0\n# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option added",
    ),
    (
        FILE,
        r#""option": "x", "value": "0", "no_extra_spaces": true"#,
        Some("x=0\n# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "a", "option": "x", "value": "1", "no_extra_spaces": true"#,
        Some("# top\n\n[a]\nx=1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a", "option": "x", "value": "1", "no_extra_spaces": true, "ignore_spaces": true"#,
        None,
        "OK",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "value": "1", "ignore_spaces": true"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a", "option": "y", "value": "2", "modify_inactive_option": false"#,
        Some("# top\n\n[a]\nx = 1\ny = 2\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "a", "option": "y", "value": "2""#,
        Some("# top\n\n[a]\nx = 1\ny = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a", "option": "y", "state": "absent""#,
        None,
        "OK",
    ),
    (FILE, r#""option": "x", "state": "absent""#, None, "OK"),
    (
        FILE,
        r#""section": "b", "option": "x", "value": "2""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx = 2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a", "section_has_values": [{"option": "x", "value": "2"}], "option": "q", "value": "1""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n[a]\nx = 2\nq = 1\n"),
        "section and option added",
    ),
    (
        FILE,
        r#""section": "a", "section_has_values": [{"option": "x", "value": "1"}], "option": "q", "value": "1""#,
        Some("# top\n\n[a]\nx = 1\nq = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "a", "section_has_values": [{"option": "x", "value": "1"}], "state": "absent""#,
        Some("# top\n\n[b]\nk\nx=1\nx=2\n"),
        "section removed",
    ),
    (
        FILE,
        r#""section": "a", "section_has_values": [{"option": "x", "value": "7"}], "state": "absent""#,
        None,
        "OK",
    ),
    (
        FILE,
        r#""section": "b", "section_has_values": [{"option": "x", "values": ["1", "2"]}], "option": "q", "value": "1""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\nq = 1\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "b", "section_has_values": [{"option": "x", "values": ["5", "6"]}], "option": "q", "value": "1""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n[b]\nx = 5\nx = 6\nq = 1\n"),
        "section and option added",
    ),
    (
        FILE,
        r#""section": "n", "section_has_values": [{"option": "x"}], "option": "q", "values": ["1", "2"]"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n[n]\nq = 1\nq = 2\n"),
        "section and option added",
    ),
    (
        FILE,
        r#""section": "b", "section_has_values": [{"option": "x"}], "option": "q", "value": "1""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\nq = 1\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "b", "section_has_values": [{"option": "k"}], "option": "q", "value": "1""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\nq = 1\n"),
        "option added",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "values": ["2", "1"]"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx = 1\nx = 2\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "b", "option": "x", "values": ["1", "1"]"#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx = 1\n"),
        "option changed",
    ),
    (
        FILE,
        r#""section": "a b", "option": "x y", "value": " v ""#,
        Some("# top\n\n[a]\nx = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n[a b]\nx y =  v \n"),
        "section and option added",
    ),
    (
        FILE,
        r#""section": "a", "option": "X", "value": "1""#,
        Some("# top\n\n[a]\nx = 1\nX = 1\n#y = 2\n;z=3\n\n[b]\nk\nx=1\nx=2\n"),
        "option added",
    ),
    (
        "",
        r#""section": "a", "option": "x", "value": "1""#,
        Some("\n[a]\nx = 1\n"),
        "section and option added",
    ),
    (
        "x=1",
        r#""option": "x", "value": "1""#,
        Some("x = 1\n"),
        "option changed",
    ),
    (
        "x=1",
        r#""option": "y", "value": "1""#,
        Some("x=1\ny = 1\n"),
        "option added",
    ),
    (
        "[a]\nx=1",
        r#""section": "a", "option": "y", "value": "1""#,
        Some("[a]\nx=1\ny = 1\n"),
        "option added",
    ),
    (
        "[a]\nx=1\n\n\n[b]\n",
        r#""section": "a", "option": "y", "value": "1""#,
        Some("[a]\nx=1\ny = 1\n\n\n[b]\n"),
        "option added",
    ),
    (
        "[a]\nx=1\n# c\n\n[b]\n",
        r#""section": "a", "option": "y", "value": "1""#,
        Some("[a]\nx=1\ny = 1\n# c\n\n[b]\n"),
        "option added",
    ),
    (
        "[a]\n  x=1\n",
        r#""section": "a", "option": "x", "value": "2""#,
        Some("[a]\nx = 2\n"),
        "option changed",
    ),
    (
        "[a]\n\tx\t=\t1\n",
        r#""section": "a", "option": "x", "value": "1", "ignore_spaces": true"#,
        None,
        "OK",
    ),
    (
        "[a] ; c\nx=1\n",
        r#""section": "a", "option": "x", "value": "2""#,
        Some("[a] ; c\nx = 2\n"),
        "option changed",
    ),
    (
        "[ a ]\nx=1\n",
        r#""section": "a", "option": "x", "value": "2""#,
        Some("[ a ]\nx = 2\n"),
        "option changed",
    ),
    (
        " [a]\nx=1\n",
        r#""section": "a", "option": "x", "value": "2""#,
        Some(" [a]\nx=1\n[a]\nx = 2\n"),
        "section and option added",
    ),
    (
        "[a]\n#x=1\nx=2\n",
        r#""section": "a", "option": "x", "value": "1", "no_extra_spaces": true"#,
        Some("[a]\nx=1\n"),
        "option changed",
    ),
    (
        "[a]\n#x=1\nx=2\n",
        r#""section": "a", "option": "x", "value": "3", "no_extra_spaces": true"#,
        Some("[a]\nx=3\n"),
        "option changed",
    ),
    (
        "[a]\n# x = 1\n",
        r#""section": "a", "option": "x", "value": "1""#,
        Some("[a]\nx = 1\n"),
        "option changed",
    ),
    (
        "[a]\n#x\n",
        r#""section": "a", "option": "x", "allow_no_value": true"#,
        Some("[a]\nx\n"),
        "option changed",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "option": "a", "value": "5""#,
        Some("[s]\na = 5\n[t]\nb=1\n[s]\na=2\nc=3\n"),
        "option changed",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "state": "absent""#,
        Some("[t]\nb=1\n[s]\na=2\nc=3\n"),
        "section removed",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "section_has_values": [{"option": "a", "value": "2"}], "option": "c", "value": "9""#,
        Some("[s]\na=1\n[t]\nb=1\n[s]\na=2\nc = 9\n"),
        "option changed",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "section_has_values": [{"option": "a", "value": "2"}], "state": "absent""#,
        Some("[s]\na=1\n[t]\nb=1\n"),
        "section removed",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "section_has_values": [{"option": "a", "value": "9"}], "option": "c", "values": ["9"]"#,
        Some("[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n[s]\na = 9\nc = 9\n"),
        "section and option added",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "option": "c", "state": "absent""#,
        None,
        "OK",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "section_has_values": [{"option": "a", "value": "2"}, {"option": "c", "value": "3"}], "option": "d", "value": "9""#,
        Some("[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\nd = 9\n"),
        "option added",
    ),
    (
        "[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n",
        r#""section": "s", "section_has_values": [{"option": "zz"}], "option": "d", "value": "9""#,
        Some("[s]\na=1\n[t]\nb=1\n[s]\na=2\nc=3\n[s]\nd = 9\n"),
        "section and option added",
    ),
    (
        "[a]\nx:1\n",
        r#""section": "a", "option": "x", "value": "2""#,
        Some("[a]\nx:1\nx = 2\n"),
        "option added",
    ),
    (
        "[a]\nx=1 ; c\n",
        r#""section": "a", "option": "x", "value": "1""#,
        Some("[a]\nx = 1\n"),
        "option changed",
    ),
    (
        "[a]\nx=1\n[b]\n",
        r#""section": "a", "option": "x", "value": "1", "no_extra_spaces": true"#,
        None,
        "OK",
    ),
    (
        "[a]\nx=1\n[b]",
        r#""section": "a", "option": "x", "value": "1", "no_extra_spaces": true"#,
        Some("[a]\nx=1\n[b]\n"),
        "OK",
    ),
    (
        "[a]\nx\n",
        r#""section": "a", "option": "x", "value": "1""#,
        Some("[a]\nx = 1\n"),
        "option changed",
    ),
    (
        "[a]\nx=\n",
        r#""section": "a", "option": "x", "allow_no_value": true"#,
        Some("[a]\nx\n"),
        "option changed",
    ),
    (
        "[a]\nx = 1\nx = 1\n",
        r#""section": "a", "option": "x", "value": "1""#,
        Some("[a]\nx = 1\n"),
        "option changed",
    ),
    (
        "[a]\nx = 1\n#x = 1\n",
        r#""section": "a", "option": "x", "value": "1""#,
        Some("[a]\nx = 1\n"),
        "option changed",
    ),
    (
        "[a]\nx = 1\ny = 1\nx = 2\n",
        r#""section": "a", "option": "x", "value": "2""#,
        Some("[a]\ny = 1\nx = 2\n"),
        "option changed",
    ),
    (
        "[a]\nx = 1\ny = 1\nx = 2\n",
        r#""section": "a", "option": "x", "values": ["2", "3"]"#,
        Some("[a]\nx = 3\ny = 1\nx = 2\n"),
        "option changed",
    ),
    (
        "[a]\nx = 1\ny = 1\n#x = 7\n",
        r#""section": "a", "option": "x", "values": ["1", "7"], "exclusive": false"#,
        Some("[a]\nx = 1\ny = 1\nx = 7\n"),
        "option changed",
    ),
    (
        "[a]\nx\ny = 1\n",
        r#""section": "a", "option": "x", "state": "absent""#,
        Some("[a]\ny = 1\n"),
        "option changed",
    ),
    (
        "[a]\nx\ny = 1\nx = 2\n",
        r#""section": "a", "option": "x", "state": "absent", "exclusive": false"#,
        None,
        "OK",
    ),
    (
        "[a]\nx\n",
        r#""section": "a", "option": "x", "state": "absent", "allow_no_value": true"#,
        Some("[a]\n"),
        "option changed",
    ),
    (
        "[a]\n#x=1\n",
        r#""section": "a", "option": "x", "state": "absent""#,
        None,
        "OK",
    ),
    (
        "[a]\nx = 1\n\n[b]\nq=1\n",
        r#""section": "c", "option": "x", "values": ["1", "2"]"#,
        Some("[a]\nx = 1\n\n[b]\nq=1\n[c]\nx = 1\nx = 2\n"),
        "section and option added",
    ),
    (
        "x = 1\n",
        r#""section": "a", "option": "b", "value": "c""#,
        Some("x = 1\n[a]\nb = c\n"),
        "section and option added",
    ),
    (
        "x = 1\n\n",
        r#""section": "a", "option": "b", "value": "c""#,
        Some("x = 1\n\n[a]\nb = c\n"),
        "section and option added",
    ),
    (
        "x = 1\n\n",
        r#""option": "b", "value": "c""#,
        Some("x = 1\nb = c\n\n"),
        "option added",
    ),
    (
        "# c\n[a]\n",
        r#""option": "b", "value": "c""#,
        Some("b = c\n# c\n[a]\n"),
        "option added",
    ),
    (
        "[a]\n",
        r#""option": "b", "value": "c""#,
        Some("b = c\n[a]\n"),
        "option added",
    ),
    (
        "[a]\nb=1\nc\n",
        r#""section": "a", "option": "c", "value": "x", "state": "absent", "exclusive": false"#,
        None,
        "OK",
    ),
];

#[test]
fn it_does_what_it_is_known_for() {
    for (before, args, after, message) in CASES {
        let fake = Fake::new();
        fake.file("/f", *before);
        let args = format!(r#"{{"path":"/f",{args}}}"#);
        // A section that is made for what it has to hold need not hold it; of two of one name, each run removes one.
        let settles =
            after.is_some() && !args.contains("section_has_values") && *message != "section removed";
        let outcome = if settles {
            check_agrees::<IniFile>(&fake, &args)
        } else {
            run::<IniFile>(&fake, &args)
        };
        assert_eq!(outcome.changed, after.is_some(), "{before:?} {args}");
        assert_eq!(fake.text("/f"), after.unwrap_or(before), "{before:?} {args}");
        assert_eq!(outcome.message(), Some(*message), "{before:?} {args}");
    }
}

#[test]
fn a_file_that_is_not_there_is_made() {
    let fake = Fake::new();
    fake.directory("/etc");
    let args = r#""path":"/etc/x/f","section":"a","option":"x","value":"1""#;
    let refused = failure::<IniFile>(&fake, &format!(r#"{{{args},"create":false}}"#));
    assert_eq!(refused, "Destination /etc/x/f does not exist!");
    check_agrees::<IniFile>(&fake, &format!("{{{args}}}"));
    assert_eq!(fake.text("/etc/x/f"), "\n[a]\nx = 1\n");
    let absent = run::<IniFile>(&fake, r#"{"path":"/etc/none","section":"a","state":"absent"}"#);
    assert!(!absent.changed && !fake.listing().contains("/etc/none"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let fake = Fake::new();
    fake.file("/f", FILE);
    assert_eq!(
        failure::<IniFile>(&fake, r#"{"path":"/f","section":"a","option":"x"}"#),
        NO_VALUE
    );
    let refused = failure::<IniFile>(&fake, r#"{"path":"/f","state":"absent"}"#);
    assert!(refused.contains("`section` or `option`"), "{refused}");
}

#[test]
fn line_ends_and_links() {
    let fake = Fake::new();
    fake.file("/f", "\u{feff}[a]\r\nx=1\r\ny=2\r\n");
    let same = r#"{"path":"/f","section":"a","option":"x","value":"1","no_extra_spaces":true}"#;
    assert!(!run::<IniFile>(&fake, same).changed);
    assert!(run::<IniFile>(&fake, r#"{"path":"/f","section":"a","option":"x","value":"3"}"#).changed);
    assert_eq!(fake.text("/f"), "[a]\nx = 3\ny=2\n");
    fake.link("/l", "/f");
    let change = r#""path":"/l","section":"a","option":"x","value":"4""#;
    run::<IniFile>(&fake, &format!(r#"{{{change},"follow":true}}"#));
    assert_eq!(fake.text("/f"), "[a]\nx = 4\ny=2\n");
    run::<IniFile>(&fake, r#"{"path":"/l","section":"a","option":"x","value":"5"}"#);
    assert_eq!(fake.text("/f"), "[a]\nx = 4\ny=2\n");
    assert_eq!(fake.text("/l"), "[a]\nx = 5\ny=2\n");
}
