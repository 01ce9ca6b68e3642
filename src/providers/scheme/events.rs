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
    let body = readable(event, scene)?;
    if event.each.0.is_empty() {
        let incoming = one(event, replay, scene, Moment::default(), body)?;
        return Ok(Parsed { events: vec![Ok(incoming)] });
    }
    let text = json::text(&body)?;
    let (mut parts, mut lists) = (Vec::new(), 0);
    for pointer in &event.each.0 {
        let path: Vec<&str> = pointer.split('/').skip(1).collect();
        lists += items(text, &path, None, &mut parts)?;
    }
    if lists == 0 {
        return Err(Unreadable(format!("there is no list of events at {}", event.each.0.join(", "))));
    }
    let events = parts.into_iter().enumerate().map(|(index, part)| {
        let slice = json::slice(&body, part.item);
        let read = || {
            let item: Value = json::read(part.item.get(), "an event")?;
            let around: Option<Value> =
                part.around.map(|around| json::read(around, "an object")).transpose()?;
            let moment = Moment { item: Some((index, &item)), around: around.as_ref(), ..Moment::default() };
            one(event, replay, scene, moment, slice.clone())
        };
        read().map_err(|reason| RejectedPart { reason, body: slice.clone() })
    });
    Ok(Parsed { events: events.collect() })
}

/// The text that the events are in, if it is what this sender sends, so that a template can find something in it.
fn readable(event: &Event, scene: &Scene<'_>) -> Result<Bytes, Unreadable> {
    let body = scene.request.body;
    if let Some(reference) = &event.r#in
        && let Some(text) = scene.value(reference, Moment::default()).map(Cow::into_owned)
    {
        scene.look_into(&text);
        return match scene.json() {
            Some(_) => Ok(text.into()),
            None => Err(Unreadable(format!("{reference} is not JSON"))),
        };
    }
    match event.format {
        Format::Any => {}
        Format::Form => {
            std::str::from_utf8(body).map_err(|_| Unreadable("the body is not UTF-8".to_owned()))?;
        }
        Format::Json => {
            let text = json::text(body)?;
            if scene.json().is_none() {
                json::read::<serde::de::IgnoredAny>(text, "JSON")?;
                return Err(Unreadable("not valid JSON".to_owned()));
            }
        }
    }
    Ok(body.clone())
}

fn one(
    event: &Event,
    replay: Replay,
    scene: &Scene<'_>,
    moment: Moment<'_>,
    body: Bytes,
) -> Result<Incoming, Unreadable> {
    let event_id = if event.id.0.is_empty() {
        // The sender only pokes: what it says is "look", and every time is news.
        Uuid::now_v7().to_string()
    } else {
        scene.first(&event.id, moment).ok_or_else(|| absent("the event id", &event.id))?
    };
    let event_type =
        scene.first(&event.r#type, moment).ok_or_else(|| absent("the event type", &event.r#type))?;
    let mut times = event.time.0.iter();
    let occurred_at = times.find_map(|time| instant(&scene.text(&time.from, moment)?, time.format));
    let envelope = envelope(event, scene, moment);
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

fn envelope(event: &Event, scene: &Scene<'_>, moment: Moment<'_>) -> Option<String> {
    let found = event
        .envelope
        .iter()
        .filter_map(|(name, reference)| Some((name.clone(), Value::from(scene.text(reference, moment)?))));
    let found: serde_json::Map<String, Value> = found.collect();
    (!found.is_empty()).then(|| Value::Object(found).to_string())
}

/// An item's exact text, and that of the element that its list stands in.
struct Item<'t> {
    item: &'t RawValue,
    around: Option<&'t str>,
}

/// Finds the items of every list that a pointer with `*` leads to, and counts those lists. An element without the list
/// has none of these events.
fn items<'t>(
    text: &'t str,
    path: &[&str],
    around: Option<&'t str>,
    found: &mut Vec<Item<'t>>,
) -> Result<usize, Unreadable> {
    let Some((step, rest)) = path.split_first() else {
        let list: Vec<&RawValue> = json::read(text, "a list of events")?;
        found.extend(list.into_iter().map(|item| Item { item, around }));
        return if found.len() > MAX_EVENTS {
            Err(Unreadable(format!("more than {MAX_EVENTS} events in one request")))
        } else {
            Ok(1)
        };
    };
    if *step == "*" {
        let list: Vec<&RawValue> = json::read(text, "a list")?;
        // An empty list on the way holds nothing, and is not a request of another form.
        let mut lists = usize::from(list.is_empty());
        for element in list {
            lists += items(element.get(), rest, Some(element.get()), found)?;
        }
        return Ok(lists);
    }
    let key = step.replace("~1", "/").replace("~0", "~");
    let fields: HashMap<Cow<'_, str>, &RawValue> = json::read(text, "an object")?;
    match fields.get(key.as_str()) {
        Some(field) => items(field.get(), rest, around.or(Some(text)), found),
        None => Ok(0),
    }
}
