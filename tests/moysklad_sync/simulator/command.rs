//! `hookgate simulate moysklad`: staging without real accounts.

use super::client;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

/// Killed when dropped, should the test end early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn simulate(options: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    command.args(options).current_dir(std::env::temp_dir());
    Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

fn terminate(running: &mut Running) -> (bool, String) {
    let id = nix::unistd::Pid::from_raw(running.0.id().try_into().unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let succeeded = running.0.wait().unwrap().success();
    let mut errors = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    (succeeded, errors)
}

#[tokio::test]
async fn it_prints_accounts_that_work_and_ends_with_what_was_wrong() {
    let options = ["--json", "simulate", "moysklad", "--accounts", "1+1", "--seed-products", "3"];
    let mut running = simulate(&options);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    let [main, child] = told["accounts"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&main["role"], &child["role"]), (&"main".into(), &"child".into()));
    assert_eq!(child["parent_account_id"], main["account_id"]);
    let url = format!("{}/entity/product", told["base_url"].as_str().unwrap());
    let count = async |account: &Value| {
        let token = account["access_token"].as_str().unwrap();
        let reply = client().get(&url).bearer_auth(token).send().await.unwrap();
        reply.json::<Value>().await.unwrap()["meta"]["size"].clone()
    };
    assert_eq!((count(main).await, count(child).await), (3.into(), 0.into()));
    let (succeeded, errors) = terminate(&mut running);
    assert!(succeeded, "{errors}");
}

#[tokio::test]
async fn the_printed_commands_name_every_account_and_a_violation_fails_the_run() {
    let mut running = simulate(&["simulate", "moysklad", "--accounts", "1+2", "--no-header-support"]);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut text = Vec::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        let is_last = line.starts_with("Ctrl-C");
        text.push(line);
        if is_last {
            break;
        }
    }
    let adds: Vec<&String> = text.iter().filter(|line| line.contains("hookgate accounts add")).collect();
    assert_eq!(adds.len(), 3);
    assert!(adds[0].contains("--role main") && adds[2].contains("--role child --parent"), "{adds:?}");
    let base = text[0].rsplit(' ').next().unwrap();
    let plain = reqwest::Client::builder().no_proxy().gzip(false).build().unwrap();
    assert_eq!(plain.get(format!("{base}/entity/product")).send().await.unwrap().status().as_u16(), 415);
    let (succeeded, errors) = terminate(&mut running);
    assert!(!succeeded && errors.contains("without Accept-Encoding"), "{errors}");
}
