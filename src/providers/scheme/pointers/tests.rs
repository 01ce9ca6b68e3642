//! The reader against the tree: whatever the text, both find the same.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

const POINTERS: [&str; 9] =
    ["/id", "/a/b/c", "/a/0/b", "/a/00", "/a/+1", "/b/a~1b/~0", "/c/1/id", "/b//d", "/d"];

/// What both readers must agree on: whether it is JSON, and what every pointer leads to. True if the quick one took it.
fn agree(pointers: &[&str], text: &[u8]) -> Result<bool, TestCaseError> {
    let tree: Option<Value> = if json::too_deep(text) { None } else { serde_json::from_slice(text).ok() };
    let reader = Pointers::new(pointers.to_vec());
    let Some(picked) = reader.read(text) else { return Ok(false) };
    prop_assert!(tree.is_some(), "{:?} is no JSON", String::from_utf8_lossy(text));
    for pointer in pointers {
        let expected = tree.as_ref().and_then(|tree| tree.pointer(pointer));
        let found = picked.at(reader.place(pointer).expect("a place for each pointer"));
        prop_assert_eq!(found, expected, "{} in {:?}", pointer, String::from_utf8_lossy(text));
        prop_assert_eq!(found.map(ToString::to_string), expected.map(ToString::to_string));
    }
    Ok(true)
}

fn taken(text: &str) -> bool {
    agree(&POINTERS, text.as_bytes()).unwrap()
}

#[test]
fn plain_json_is_read_without_a_tree() {
    for text in [
        r#"{"id":"x","a":{"b":{"c":1}},"c":[0,{"id":2}],"z":[{"a":1},null,true,1.50e+3]}"#,
        r#"{"a":[{"b":"\n\u00e9"},2],"b":{"a/b":{"~":null},"":{"d":-0}},"id":"é"}"#,
        "{}",
        " [1, 2] ",
        "\"text\"",
        "true",
        "null",
    ] {
        assert!(taken(text), "{text}");
    }
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts_with_all_below_it() {
    assert!(taken(r#"{"id":1,"id":2,"a":{"b":{"c":1}},"a":{"x":1}}"#));
    assert!(taken(r#"{"a":[{"b":3}],"a":{"b":{"d":4}},"a":[]}"#));
    assert!(taken(r#"{"a":{"b":{"c":1}},"a":"x"}"#));
    assert!(taken(r#"{"\u0069d":1,"id":null}"#));
}

#[test]
fn what_a_tree_would_refuse_or_read_otherwise_is_left_to_it() {
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    for text in [
        r#"{"x":"\ud800"}"#,
        r#"{"x":"\uD83D\uDE00"}"#,
        r#"{"x":{"$serde_json::private::Number":"7"}}"#,
        r#"{"x":{"\u0024serde_json::private::Number":"no number"}}"#,
        r#"{"x":{"$serde_json::private::RawValue":"{}"}}"#,
        r#"{"x":01}"#,
        r#"{"x":1.}"#,
        r#"{"x":"a	b"}"#,
        r#"{"x":1,}"#,
        r#"{"x":1} x"#,
        r#"{"x":"\x"}"#,
        r#"{"a":1}"#,
        "",
        &deep,
    ] {
        assert!(!taken(text), "{text}");
    }
    assert!(!agree(&POINTERS, b"{\"x\":\"\xff\"}").unwrap());
    assert!(!agree(&POINTERS, b"\xef\xbb\xbf{}").unwrap());
}

#[test]
fn large_numbers_stay_as_they_were_written() {
    for number in ["123456789012345678901234567890.10", "1e999", "-0.0", "1E+2"] {
        assert!(taken(&format!(r#"{{"id":{number},"z":{number}}}"#)), "{number}");
    }
}

#[test]
fn a_pointer_into_what_another_points_at_is_found_in_it() {
    let pointers = ["", "/a"];
    assert!(agree(&pointers, br#"{"a":{"b":1}}"#).unwrap());
    assert!(agree(&["/a", "/a-b", "/a/b", "/a/b/0"], br#"{"a":{"b":[1]},"a-b":2}"#).unwrap());
}

/// JSON with the keys of the pointers, keys that stand twice, and now and then something that is none.
fn text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        4 => Just("null".to_owned()),
        4 => "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?",
        1 => "[-+0-9.eE]{1,8}",
        4 => "\"[ -!#-\\[\\]-~é😀]{0,8}\"",
        2 => "\"(\\\\(n|\"|\\\\|/|u00e9|u0000|u0024|ud83d\\\\ude00|ud800|u12|x)|[a-z$])*\"",
        1 => Just("true".to_owned()),
        1 => "[a-z\\[{\"]{0,3}",
    ];
    let key = prop_oneof![
        8 => prop::sample::select(vec!["id", "a", "b", "c", "d", "", "a/b", "~", "0", "00"])
            .prop_map(|key| format!("\"{key}\"")),
        1 => Just("\"\\u0061\"".to_owned()),
        1 => prop::sample::select(vec!["Number", "RawValue"])
            .prop_map(|name| format!("\"$serde_json::private::{name}\"")),
    ];
    let space = || prop::sample::select(vec!["", "", "", " ", "\n"]);
    scalar.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            3 => (prop::collection::vec((key.clone(), inner.clone()), 0..6), space()).prop_map(|(fields, space)| {
                let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("{key}{space}:{value}")).collect();
                format!("{{{space}{}}}", fields.join(&format!("{space},")))
            }),
            1 => (prop::collection::vec(inner, 0..4), space()).prop_map(|(items, space)| format!("[{}{space}]", items.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn it_finds_what_the_tree_holds(text in text()) {
        agree(&POINTERS, text.as_bytes())?;
    }

    #[test]
    fn it_finds_what_the_tree_holds_wherever_pointers_lead(
        text in text(),
        pointers in prop::collection::vec("(/(id|a|b|c|d|0|1|a~1b|~0)?){0,4}", 0..6),
    ) {
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        agree(&pointers, text.as_bytes())?;
    }

    #[test]
    fn bytes_that_were_changed_are_taken_by_both_or_left_to_the_tree(
        text in text(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = text.into_bytes();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        agree(&POINTERS, &bytes)?;
    }
}
