//! Reading a status callback, or the webhook of an inbound message.

use crate::sync::messages::{Direction, ErrorCode, MessageId, Status};
use crate::sync::{Event, HandlerError};
use serde_json::Value;

/// What a callback says. Numbers and texts, which it also holds, are not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Callback {
    /// The message.
    pub(super) message_id: MessageId,
    /// Its account, where the callback names it.
    pub(super) account: Option<String>,
    /// Its status; `None` if it is none that is known here.
    pub(super) status: Option<Status>,
    /// Why it did not arrive.
    pub(super) error_code: Option<ErrorCode>,
    /// Which way it goes.
    pub(super) direction: Direction,
}

impl Callback {
    /// Reads an event of the type `message.{status}`.
    pub(super) fn read(event: &Event) -> Result<Self, HandlerError> {
        let give_up = |reason: &str| HandlerError::GiveUp(reason.to_owned());
        let word = event.event_type.strip_prefix("message.").ok_or_else(|| give_up("not of a message"))?;
        let status = Status::from_name(word);
        let message_id = event.subject.as_deref().and_then(MessageId::new);
        let fields =
            Fields::read(&event.body).ok_or_else(|| give_up("the body is neither a form nor JSON"))?;
        let inbound = matches!(status, Some(Status::Received | Status::Receiving));
        Ok(Self {
            message_id: message_id.ok_or_else(|| give_up("the event names no message"))?,
            account: fields.get("AccountSid"),
            status,
            // Twilio also writes 0 where all is well.
            error_code: fields
                .get("ErrorCode")
                .filter(|code| code != "0")
                .and_then(|code| ErrorCode::new(&code)),
            direction: if inbound { Direction::Inbound } else { Direction::Outbound },
        })
    }
}

/// A form, or a JSON object.
enum Fields<'a> {
    Form(&'a [u8]),
    Json(Value),
}

impl<'a> Fields<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        if body.trim_ascii_start().starts_with(b"{") {
            return serde_json::from_slice(body).ok().map(Self::Json);
        }
        Some(Self::Form(body))
    }

    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Form(body) => {
                let value = url::form_urlencoded::parse(body).find(|pair| pair.0 == name)?.1.into_owned();
                (!value.is_empty()).then_some(value)
            }
            Self::Json(fields) => match &fields[name] {
                Value::String(text) if !text.is_empty() => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn event(event_type: &str, subject: &str, body: &str) -> Event {
        Event {
            id: Uuid::nil(),
            provider: "twilio".to_owned(),
            event_id: format!("{subject}.x"),
            event_type: event_type.to_owned(),
            subject: Some(subject.to_owned()),
            occurred_at: None,
            received_at: chrono::Utc::now(),
            body: body.to_owned().into(),
            envelope: None,
            attempt: 1,
        }
    }

    #[test]
    fn a_form_and_json_say_the_same() {
        let form =
            "AccountSid=AC1&MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003&To=%2B5581999990000";
        let json =
            r#"{"AccountSid":"AC1","MessageSid":"SM1","MessageStatus":"undelivered","ErrorCode":30003}"#;
        for body in [form, json] {
            let callback = Callback::read(&event("message.undelivered", "SM1", body)).unwrap();
            assert_eq!(callback.message_id.as_str(), "SM1");
            assert_eq!(callback.account.as_deref(), Some("AC1"));
            assert_eq!(callback.status, Some(Status::Undelivered));
            assert_eq!(callback.error_code, ErrorCode::new("30003"));
            assert_eq!(callback.direction, Direction::Outbound);
            assert!(!format!("{callback:?}").contains("5581"));
        }
    }

    #[test]
    fn an_inbound_message_is_received_and_its_text_is_not_read() {
        let body = "MessageSid=SM2&SmsStatus=received&Body=secret+words&From=%2B5581999990000";
        let callback = Callback::read(&event("message.received", "SM2", body)).unwrap();
        assert_eq!((callback.status, callback.direction), (Some(Status::Received), Direction::Inbound));
        assert_eq!(callback.error_code, None);
    }

    #[test]
    fn an_unknown_status_is_none_and_no_error_is_zero() {
        let callback = Callback::read(&event("message.teleported", "SM3", "ErrorCode=0")).unwrap();
        assert_eq!((callback.status, callback.error_code), (None, None));
    }

    #[test]
    fn what_cannot_be_read_is_given_up() {
        let mut nameless = event("message.sent", "SM1", "");
        nameless.subject = None;
        for event in [event("message.sent", "SM1", "{"), event("message.sent", "S M", ""), nameless] {
            assert!(matches!(Callback::read(&event), Err(HandlerError::GiveUp(_))));
        }
    }
}
