//! `hookgate providers show`: how a provider is set up.

use super::CliError;
use crate::cli::output::print;
use crate::config::Settings;
use crate::providers::scheme::{About, AboutParam};
use crate::providers::{Replay, tables};
use serde_json::json;

pub(super) fn run(name: &str, settings: &Settings, json: bool) -> Result<(), CliError> {
    let about = tables(settings)?.about(name)?;
    let base = settings.receiver.app_url.as_str().trim_end_matches('/');
    let url = format!("{base}/api/v1/webhooks/{name}");
    if json {
        let mut shown = json!(about);
        shown["url"] = url.into();
        print(&format!("{shown:#}"));
    } else {
        print(&text(&about, &url));
    }
    Ok(())
}

fn text(about: &About, url: &str) -> String {
    let mut lines: Vec<(&str, String)> = vec![
        ("name", about.name.clone()),
        ("title", about.title.clone()),
        ("scheme", about.scheme.clone()),
        ("docs", about.docs.clone().unwrap_or_default()),
        ("url", url.to_owned()),
        (
            "secret",
            if about.secretless {
                "none: fetched keys or certificates prove it".to_owned()
            } else {
                String::new()
            },
        ),
        ("secret", about.secret_help.clone().unwrap_or_default()),
        ("set", about.secret_env.join(", or ")),
    ];
    lines.extend(about.params.iter().map(|param| ("parameter", parameter(param))));
    lines.extend(about.proofs.iter().map(|proof| ("proof", proof.clone())));
    lines.extend(about.handshakes.iter().map(|handshake| ("handshake", handshake.clone())));
    if about.learns {
        let how = format!(
            "learn_secret = true in [providers.{0}] lets it be offered; then `hookgate providers secrets {0}`",
            about.name
        );
        lines.push(("learning", how));
    }
    lines.push((
        "replay",
        match about.replay {
            Replay::Off => "off: the id is proven, or bodies repeat by nature",
            Replay::Flag => "flag: known bytes under a new id wait for an operator",
            Replay::Drop => "drop: known bytes under a new id count as a duplicate",
        }
        .to_owned(),
    ));
    lines.push(("samples", about.samples.join(", ")));
    lines.push(("note", about.note.clone().unwrap_or_default()));
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<10} {value}")).collect::<Vec<_>>().join("\n")
}

fn parameter(param: &AboutParam) -> String {
    let mut line = format!("{}: {}", param.name, param.help);
    if param.required {
        line.push_str(" (required)");
    }
    if let Some(default) = &param.default {
        line = format!("{line} (default {default})");
    }
    if !param.env.is_empty() {
        line = format!("{line} [{}]", param.env.join(", "));
    }
    line
}
