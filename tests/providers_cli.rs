//! `hookgate providers`: what needs no database.

use crate::support::sign;
use serde_json::{Value, json};
use std::process::{Command, Output};

/// Runs the command in a directory of its own, with this environment alone.
fn run(dir: &std::path::Path, env: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    command.arg("providers").args(arguments).env_clear().current_dir(dir).envs(env.iter().copied());
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A recorded delivery of GitHub, with these line ends in its head.
fn recorded(end: &str, secret: &str, body: &str) -> String {
    let signature = sign::hmac_sha256(secret, body.as_bytes());
    [
        "POST /api/v1/webhooks/github HTTP/1.1",
        "Host: hooks.example.com",
        "X-GitHub-Event: push",
        "X-GitHub-Delivery: d1",
        &format!("X-Hub-Signature-256: sha256={signature}"),
        &format!("Content-Length: {}", body.len()),
        "",
        body,
    ]
    .join(end)
}

#[test]
fn a_recorded_request_is_tried_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("GITHUB_WEBHOOK_SECRET", "cli-canary")];
    let file = dir.path().join("request.http");
    let body = "{\"ref\":\"refs/heads/main\",\r\n\"repository\":{\"full_name\":\"o/r\"}}";
    for end in ["\n", "\r\n"] {
        std::fs::write(&file, recorded(end, "cli-canary", body)).unwrap();
        let output = run(dir.path(), &env, &["test", "github", "--file", "request.http"]);
        assert!(output.status.success(), "{}{}", text(&output), error(&output));
        assert!(text(&output).contains("event  push d1 (o/r:refs/heads/main)"), "{}", text(&output));
    }
    std::fs::write(&file, recorded("\n", "another", body)).unwrap();
    let output = run(dir.path(), &env, &["test", "github", "--file", "request.http"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("FAILED match") && !text(&output).contains("cli-canary"));
    std::fs::write(&file, recorded("\n", "cli-canary", body) + "\n").unwrap();
    let output = run(dir.path(), &env, &["test", "github", "--file", "request.http"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("has an editor added a line end?"), "{}", text(&output));
    let output = run(dir.path(), &[], &["test", "github", "--file", "request.http"]);
    assert!(!output.status.success() && error(&output).contains("providers show github"));
    for arguments in
        [&["test", "github"][..], &["test", "--file", "request.http"], &["test", "x", "--vectors", "none"]]
    {
        assert!(!run(dir.path(), &env, arguments).status.success(), "{arguments:?}");
    }
}

#[test]
fn the_time_of_a_recorded_request_can_be_given() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("STRIPE_WEBHOOK_SECRET", "cli-canary")];
    let body = r#"{"id":"evt_1","type":"t","data":{"object":{"id":"x"}}}"#;
    let signature = sign::stripe("cli-canary", 1_760_000_000, body.as_bytes());
    let request = format!("POST /api/v1/webhooks/stripe\nStripe-Signature: {signature}\n\n{body}");
    std::fs::write(dir.path().join("r"), request).unwrap();
    let at = |now: &[&str]| {
        run(dir.path(), &env, &[&["test", "stripe", "--file", "r"], now].concat()).status.success()
    };
    assert!(at(&["--now", "1760000000"]) && at(&["--now", "2025-10-09T08:53:20Z"]));
    assert!(!at(&[]) && !at(&["--now", "1760000400"]) && !at(&["--now", "yesterday"]));
}

#[test]
fn vectors_are_told_a_line_each_and_the_exit_code_says_whether_all_passed() {
    let dir = tempfile::tempdir().unwrap();
    let vector = |name: &str, provider: Option<&str>, secret: &str, valid: bool| {
        let body = b"{\"a\":1}";
        let mut vector = json!({"name": name, "method": "POST", "url": "https://h/p", "secret": secret,
            "headers": {"X-Hub-Signature-256": format!("sha256={}", sign::hmac_sha256("s", body)),
                "X-GitHub-Event": "push", "X-GitHub-Delivery": "d"},
            "body_b64": sign::base64(body), "now_unix": 1, "valid": valid, "why": ""});
        if let Some(provider) = provider {
            vector["provider"] = provider.into();
        }
        vector
    };
    let write = |list: Value| std::fs::write(dir.path().join("v.json"), list.to_string()).unwrap();
    let test = |arguments: &[&str]| run(dir.path(), &[], &[&["test"], arguments].concat());
    write(json!([
        vector("good", None, "s", true),
        vector("bad", Some("github"), "other", false),
        vector("skipped", Some("gitlab"), "s", true)
    ]));
    let output = test(&["github", "--vectors", "v.json"]);
    assert!(output.status.success(), "{}", error(&output));
    assert_eq!(text(&output), "ok   good\nok   bad\n2 passed, 0 failed\n");
    write(json!([vector("good", None, "s", true), vector("wrong", None, "other", true)]));
    let output = test(&["github", "--vectors", "v.json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = text(&output).lines().map(str::to_owned).collect();
    assert_eq!((&*lines[0], &*lines[2]), ("ok   good", "1 passed, 1 failed"));
    assert!(lines[1].starts_with("FAIL wrong: not proven"), "{}", lines[1]);
    assert!(!test(&["--vectors", "v.json"]).status.success(), "no name anywhere");
    write(json!([vector("named", Some("github"), "s", true)]));
    assert_eq!(text(&test(&["--vectors", "v.json"])), "ok   named\n1 passed, 0 failed\n");
    std::fs::write(dir.path().join("v.json"), "{").unwrap();
    let output = test(&["github", "--vectors", "v.json"]);
    assert!(!output.status.success() && error(&output).contains("v.json"), "{}", error(&output));
}

#[test]
fn the_vectors_of_the_repository_pass_through_the_command() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/providers/builtin");
    let dir = tempfile::tempdir().unwrap();
    for name in ["github", "stripe", "slack", "twilio", "paypal"] {
        let file = folder.join(format!("{name}.vectors.json"));
        let output = run(dir.path(), &[], &["test", name, "--vectors", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).ends_with(" passed, 0 failed\n"));
    }
}

#[test]
fn every_builtin_scheme_is_listed_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &[], &["list", "--all", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = list.as_array().unwrap();
    assert!(list.len() > 50, "{}", list.len());
    assert!(list.iter().any(|about| about["name"] == "moysklad"));
    let table = text(&run(dir.path(), &[], &["list", "--all"]));
    assert!(table.contains("GITHUB_WEBHOOK_SECRET") && table.lines().count() == list.len() + 1);
    let env = [("APP_URL", "https://hooks.example.com")];
    let shown = text(&run(dir.path(), &env, &["show", "github"]));
    for part in [
        "https://hooks.example.com/api/v1/webhooks/github",
        "hmac-sha256 in header:x-hub-signature-256",
        "GITHUB_WEBHOOK_SECRET",
        "docs.github.com",
        "flag",
        "pull_request.opened",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(text(&run(dir.path(), &[], &["show", "asana"])).contains("providers secrets asana"));
    let output = run(dir.path(), &[], &["show", "nobody"]);
    assert!(!output.status.success() && error(&output).contains("list --all"), "{}", error(&output));
}

#[test]
fn a_new_table_is_written_tried_and_not_written_twice() {
    let dir = tempfile::tempdir().unwrap();
    let new = [
        "new",
        "acme",
        "--signature",
        "header:X-Acme-Signature",
        "--prefix",
        "sha256=",
        "--time",
        "header:X-Acme-Time",
        "--id",
        "{json:/account}.{json:/id}",
        "--challenge",
        "query:challenge",
    ];
    let printed = run(dir.path(), &[], &new);
    assert!(
        printed.status.success() && text(&printed).starts_with("[providers.acme]"),
        "{}",
        error(&printed)
    );
    assert!(!dir.path().join("hookgate.toml").exists());
    let write = [&new[..], &["--write"]].concat();
    assert!(run(dir.path(), &[], &write).status.success());
    let again = run(dir.path(), &[], &write);
    assert!(!again.status.success() && error(&again).contains("already"), "{}", error(&again));
    let body = r#"{"account":"a","id":7,"type":"t"}"#;
    let signature = sign::hmac_sha256("acme-canary", format!("1760000000.{body}").as_bytes());
    let request = format!(
        "POST /api/v1/webhooks/acme\nX-Acme-Signature: sha256={signature}\nX-Acme-Time: 1760000000\n\n{body}"
    );
    std::fs::write(dir.path().join("r"), request).unwrap();
    let test = ["test", "acme", "--file", "r", "--now", "1760000000"];
    let output = run(dir.path(), &[("ACME_WEBHOOK_SECRET", "acme-canary")], &test);
    assert!(output.status.success(), "{}{}", text(&output), error(&output));
    assert!(text(&output).contains("event  t a.7 (no subject)"));
    let output = run(dir.path(), &[], &test);
    assert!(!output.status.success() && error(&output).contains("ACME_WEBHOOK_SECRET"), "{}", error(&output));
    for bad in [&["new", "Acme"][..], &["new", "replay"], &["new", "x", "--signed", "{nonsense}"]] {
        assert!(!run(dir.path(), &[], bad).status.success(), "{bad:?}");
    }
}
