//! Recognising the status of a push notification.
//!
//! There is no standard; the names are those that senders and exports use: FCM's own (`message_id`, `MESSAGE_DELIVERED`
//! of its BigQuery export), and the plain words. Names are compared without case, `_` and `-`.

use super::decode::{Data, Decoded};
use crate::sync::messages::{ErrorCode, MessageId, Status};
use serde_json::{Map, Value};

/// Names under which a notification's id stands, the surest first.
const IDS: [&str; 4] = ["notificationid", "fcmmessageid", "messageid", "pushid"];
/// Names under which its status stands.
const STATUSES: [&str; 5] = ["status", "deliverystatus", "notificationstatus", "state", "event"];
/// Names under which the reason of a failure stands.
const CODES: [&str; 3] = ["errorcode", "error", "reason"];

/// What became of a push notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PushStatus {
    /// Its id.
    pub(super) message_id: MessageId,
    /// Its status.
    pub(super) status: Status,
    /// Why it failed.
    pub(super) error_code: Option<ErrorCode>,
}

impl PushStatus {
    /// The status that a message tells, if it tells one: an id and a known word. The data counts before the attributes.
    pub(super) fn find(decoded: &Decoded) -> Option<Self> {
        let none = Map::new();
        let data = if let Data::Json(Value::Object(data)) = &decoded.data { data } else { &none };
        let find = |names: &[&str]| {
            names.iter().find_map(|name| text(data, name).or_else(|| text(&decoded.attributes, name)))
        };
        let status = word(&find(&STATUSES)?)?;
        Some(Self {
            message_id: MessageId::new(&find(&IDS)?)?,
            status,
            error_code: find(&CODES)
                .filter(|_| status == Status::Failed)
                .and_then(|code| ErrorCode::new(&code)),
        })
    }

    /// The type of the event that is emitted. A notification is opened where a message is read.
    pub(super) fn event_type(&self) -> &'static str {
        match self.status {
            Status::Queued => "notification.queued",
            Status::Accepted => "notification.accepted",
            Status::Delivered => "notification.delivered",
            Status::Failed => "notification.failed",
            Status::Read => "notification.opened",
            // `word` gives no other.
            _ => "notification.sent",
        }
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '_' | '-' | '.')).collect::<String>().to_ascii_lowercase()
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    let (_, value) = fields.iter().find(|(key, _)| plain(key) == name)?;
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn word(text: &str) -> Option<Status> {
    let plain = plain(text);
    let bare = ["notification", "message", "push"].iter().find_map(|prefix| plain.strip_prefix(prefix));
    match bare.unwrap_or(&plain) {
        "queued" | "pending" => Some(Status::Queued),
        "accepted" => Some(Status::Accepted),
        "sent" => Some(Status::Sent),
        "delivered" => Some(Status::Delivered),
        "failed" | "error" | "undelivered" => Some(Status::Failed),
        "opened" | "open" | "clicked" | "read" => Some(Status::Read),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find(data: Value, attributes: Value) -> Option<PushStatus> {
        let Value::Object(attributes) = attributes else { panic!("no attributes") };
        let data = if data.is_null() { Data::Absent } else { Data::Json(data) };
        PushStatus::find(&Decoded { by: "Pub/Sub message", data, attributes })
    }

    fn brief(found: Option<PushStatus>) -> Option<(String, &'static str)> {
        found.map(|push| (push.message_id.as_str().to_owned(), push.event_type()))
    }

    #[test]
    fn each_spelling_of_an_id_and_a_status_is_recognised() {
        for (data, event_type) in [
            (json!({"messageId": "m1", "status": "delivered"}), "notification.delivered"),
            (json!({"message_id": "m1", "event": "MESSAGE_DELIVERED"}), "notification.delivered"),
            (json!({"message_id": "m1", "event": "MESSAGE_ACCEPTED"}), "notification.accepted"),
            (json!({"notificationId": "m1", "deliveryStatus": "Sent"}), "notification.sent"),
            (json!({"notification-id": "m1", "status": "notification.opened"}), "notification.opened"),
            (json!({"fcmMessageId": "m1", "state": "FAILED"}), "notification.failed"),
            (json!({"messageId": "m1", "status": "queued"}), "notification.queued"),
        ] {
            assert_eq!(brief(find(data.clone(), json!({}))), Some(("m1".to_owned(), event_type)), "{data}");
        }
        let number = find(json!({"messageId": 77, "status": "sent"}), json!({}));
        assert_eq!(brief(number), Some(("77".to_owned(), "notification.sent")));
    }

    #[test]
    fn attributes_tell_it_too_alone_or_together_with_the_data() {
        let attributes = json!({"messageId": "m1", "status": "sent"});
        assert_eq!(brief(find(Value::Null, attributes)), Some(("m1".to_owned(), "notification.sent")));
        let both =
            find(json!({"messageId": "m2", "token": "t"}), json!({"status": "failed", "messageId": "m1"}));
        assert_eq!(brief(both), Some(("m2".to_owned(), "notification.failed")), "the data counts first");
    }

    #[test]
    fn a_failure_keeps_its_code_and_no_sentence() {
        let code = |error: &str, status: &str| {
            find(json!({"messageId": "m1", "status": status, "error": error}), json!({})).unwrap().error_code
        };
        assert_eq!(code("UNREGISTERED", "failed"), ErrorCode::new("UNREGISTERED"));
        assert_eq!(code("the phone of Ana is off", "failed"), None);
        assert_eq!(code("UNREGISTERED", "sent"), None);
    }

    #[test]
    fn everything_else_is_none() {
        for data in [
            json!({"status": "delivered"}),
            json!({"messageId": "m1"}),
            json!({"messageId": "m1", "status": "shipped"}),
            json!({"messageId": "m 1", "status": "sent"}),
            json!({"messageId": {"a": 1}, "status": "sent"}),
            json!({"emailAddress": "a@example.com", "historyId": "9"}),
            json!([{"messageId": "m1", "status": "sent"}]),
            json!("sent"),
        ] {
            assert_eq!(find(data.clone(), json!({})), None, "{data}");
        }
        assert_eq!(find(Value::Null, json!({})), None);
    }
}
