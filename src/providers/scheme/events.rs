//! Reads the events of a proven request by a table's rules.

use super::scene::{Moment, Scene};
use super::table::{Event, Format};
use super::time::instant;
use crate::providers::{Incoming, Parsed, RejectedPart, Replay, SecondKey, Unreadable, json};
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use uuid::Uuid;

/// Most events of one request.
const MAX_EVENTS: usize = 10_000;

/// Reads every event of the request.
pub(super) fn read(event: &Event, replay: Replay, scene: &Scene<'_>) -> Result<Parsed, Unreadable> {
    let body = scene.request.body;
    readable(event, scene)?;
    let envelope = envelope(event, scene);
    let Some(pointer) = &event.each else {
        let incoming = one(event, replay, scene, Moment::default(), body.clone(), envelope)?;
        return Ok(Parsed { events: vec![Ok(incoming)] });
    };
    let mut parts = Vec::new();
    let path: Vec<&str> = pointer.split('/').skip(1).collect();
    items(json::text(body)?, &path, &mut parts)?;
    let events = parts.into_iter().enumerate().map(|(index, part)| {
        let slice = json::slice(body, part);
        let read = || {
            let item: Value = json::read(part.get(), "an event")?;
            let moment = Moment { item: Some((index, &item)), ..Moment::default() };
            one(event, replay, scene, moment, slice.clone(), envelope.clone())
        };
        read().map_err(|reason| RejectedPart { reason, body: slice.clone() })
    });
    Ok(Parsed { events: events.collect() })
}

/// Whether the body is what this sender sends, so that a template can find something in it.
fn readable(event: &Event, scene: &Scene<'_>) -> Result<(), Unreadable> {
    if let Some(reference) = &event.r#in
        && let Some(text) = scene.value(reference, Moment::default()).map(Cow::into_owned)
    {
        scene.look_into(&text);
        return match scene.json() {
            Some(_) => Ok(()),
            None => Err(Unreadable(format!("{reference} is not JSON"))),
        };
    }
    let body = scene.request.body;
    match event.format {
        Format::Any => Ok(()),
        Format::Form if std::str::from_utf8(body).is_ok() => Ok(()),
        Format::Form => Err(Unreadable("the body is not UTF-8".to_owned())),
        Format::Json => {
            let text = json::text(body)?;
            match scene.json() {
                Some(_) => Ok(()),
                None => json::read::<serde::de::IgnoredAny>(text, "JSON")
                    .and(Err(Unreadable("not valid JSON".to_owned()))),
            }
        }
    }
}

fn one(
    event: &Event,
    replay: Replay,
    scene: &Scene<'_>,
    moment: Moment<'_>,
    body: Bytes,
    envelope: Option<String>,
) -> Result<Incoming, Unreadable> {
    let event_id = if event.id.0.is_empty() {
        // The sender only pokes: what it says is "look", and every time is news.
        Uuid::now_v7().to_string()
    } else {
        scene.first(&event.id, moment).ok_or_else(|| absent("the event id", &event.id))?
    };
    let event_type =
        scene.first(&event.r#type, moment).ok_or_else(|| absent("the event type", &event.r#type))?;
    let occurred_at =
        event.time.as_ref().and_then(|time| instant(&scene.text(&time.from, moment)?, time.format));
    let second_key = (replay != Replay::Off && !event.id.0.is_empty()).then(|| {
        let key = event.replay_key.as_ref().and_then(|template| scene.render(template, moment));
        let key = key.map_or_else(|| Sha256::digest(&body), Sha256::digest);
        SecondKey { key: key.into(), drop: replay == Replay::Drop }
    });
    let subject = scene.first(&event.subject, moment);
    Incoming { event_id, event_type, subject, occurred_at, body, envelope, second_key }.checked()
}

fn absent(what: &str, choice: &super::template::Choice) -> Unreadable {
    let names: Vec<String> =
        choice.0.iter().flat_map(super::template::Template::references).map(ToString::to_string).collect();
    Unreadable(format!("{what} is missing: none of {} is there", names.join(", ")))
}

fn envelope(event: &Event, scene: &Scene<'_>) -> Option<String> {
    let found = event.envelope.iter().filter_map(|(name, reference)| {
        Some((name.clone(), Value::from(scene.text(reference, Moment::default())?)))
    });
    let found: serde_json::Map<String, Value> = found.collect();
    (!found.is_empty()).then(|| Value::Object(found).to_string())
}

/// The exact texts of the elements that a pointer with `*` leads to.
fn items<'t>(text: &'t str, path: &[&str], found: &mut Vec<&'t RawValue>) -> Result<(), Unreadable> {
    let Some((step, rest)) = path.split_first() else {
        let list: Vec<&RawValue> = json::read(text, "a list of events")?;
        found.extend(list);
        return if found.len() > MAX_EVENTS {
            Err(Unreadable(format!("more than {MAX_EVENTS} events in one request")))
        } else {
            Ok(())
        };
    };
    if *step == "*" {
        let list: Vec<&RawValue> = json::read(text, "a list")?;
        return list.into_iter().try_for_each(|element| items(element.get(), rest, found));
    }
    let key = step.replace("~1", "/").replace("~0", "~");
    let fields: HashMap<Cow<'_, str>, &RawValue> = json::read(text, "an object")?;
    match fields.get(key.as_str()) {
        Some(field) => items(field.get(), rest, found),
        None => Err(Unreadable(format!("there is no list of events at `{key}`"))),
    }
}
