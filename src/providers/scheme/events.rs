//! Reads the events of a proven request by a table's rules.

use super::scene::{Moment, Scene};
use super::table::{Event, Format};
use super::time::instant;
use crate::providers::incoming::check_count;
use crate::providers::{Incoming, Parsed, RejectedPart, Replay, SecondKey, Unreadable, json};
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use uuid::Uuid;

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
    let mut known = Around::default();
    let events = parts.into_iter().enumerate().map(|(index, part)| {
        let slice = json::slice(&body, part.item);
        let mut read = || {
            let item: Value = json::read(part.item.get(), "an event")?;
            let around = part.around.map(|around| known.read(around)).transpose()?;
            let moment = Moment { item: Some((index, &item)), around, ..Moment::default() };
            one(event, replay, scene, moment, slice.clone())
        };
        read().map_err(|reason| RejectedPart { reason, body: slice })
    });
    Ok(Parsed { events: events.collect() })
}

/// The element that was read last. It is the same for all items of a list: read anew for each, a body of a megabyte
/// would be read ten thousand times.
#[derive(Default)]
struct Around<'t>(Option<(&'t str, Result<Value, Unreadable>)>);

impl<'t> Around<'t> {
    fn read(&mut self, text: &'t str) -> Result<&Value, Unreadable> {
        if !self.0.as_ref().is_some_and(|known| std::ptr::eq(known.0, text)) {
            self.0 = None;
        }
        let known = self.0.get_or_insert_with(|| (text, json::read(text, "an object")));
        known.1.as_ref().map_err(Clone::clone)
    }
}

/// The text that the events are in, if it is what this sender sends, so that a template can find something in it.
fn readable(event: &Event, scene: &Scene<'_>) -> Result<Bytes, Unreadable> {
    let body = scene.request.body;
    if let Some(reference) = &event.r#in
        && let Some(text) = scene.value(reference, Moment::default()).map(Cow::into_owned)
    {
        let text = Bytes::from(text);
        scene.look_into(text.clone());
        return if scene.is_json() { Ok(text) } else { Err(Unreadable(format!("{reference} is not JSON"))) };
    }
    match event.format {
        Format::Any => {}
        Format::Form => {
            std::str::from_utf8(body).map_err(|_| Unreadable("the body is not UTF-8".to_owned()))?;
        }
        Format::Json => {
            let text = json::text(body)?;
            if !scene.is_json() {
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
    Incoming { event_id, event_type, subject, occurred_at, body, envelope, second_key, urgent: false }
        .checked()
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
        return check_count(found.len()).map(|()| 1);
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

#[cfg(test)]
mod tests {
    use super::super::read_tables;
    use crate::providers::{Check, Provider as _, RawRequest};
    use bytes::Bytes;
    use chrono::Utc;
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    /// Every one of ten thousand items used to read the whole body anew: minutes of work for one request.
    #[test]
    fn a_large_batch_is_read_in_time_that_grows_with_its_size() {
        let text = r#"
            [[providers.mine.verify]]
            algorithm = "token"
            signature = { from = "header:x-token" }
            [providers.mine.event]
            each = "/list/*/events"
            id = "{around:/name}.{item:}"
            type = "{json:/type}"
        "#;
        let provider = read_tables("", text).unwrap().trial("mine", &"abc".into(), BTreeMap::new()).unwrap();
        let padding = "0,".repeat(400_000);
        let items = (0..5_000).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        let body = format!(
            r#"{{"type":"a","list":[{{"name":"x","events":[{items}],"padding":[{padding}0]}},{{"name":"y","events":[{items}]}}]}}"#
        );
        let body = Bytes::from(body);
        let request = RawRequest::post("", vec![("x-token", b"abc")], &body);
        let started = Instant::now();
        let proof = provider.verify(&request, &Check::plain(Utc::now())).unwrap();
        let parsed = provider.parse(&proof).unwrap();
        let ids: Vec<_> = parsed.events.iter().map(|event| &*event.as_ref().unwrap().event_id).collect();
        assert_eq!((ids.len(), ids[4_999], ids[5_000]), (10_000, "x.4999", "y.0"));
        assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
    }
}
