//! What of a lead matters here, read from any of the shapes in which C2S sends one
//! (facts/c2s-stripe-paypal-twilio.md 1.2 and 1.4).

use super::message::MARK;
use serde_json::Value;

/// Who a lead is about and what was written in it. Holds personal data: it has no `Debug`.
#[derive(Default)]
pub(super) struct Lead {
    /// Whether it says anything about a customer; else only an id came and the lead has to be asked for.
    pub(super) has_customer: bool,
    /// Name of the customer.
    pub(super) name: Option<String>,
    /// Telephones of the customer as they were typed, the best first.
    pub(super) phones: Vec<String>,
    /// E-mail of the customer.
    pub(super) email: Option<String>,
    /// Free text in which a CPF may stand. Messages of Hookgate's own are left out: they hold the CPF that it found.
    pub(super) texts: Vec<String>,
}

impl Lead {
    /// Reads the lead with this id from an event's body or from C2S's reply. What is no lead reads as an empty one.
    pub(super) fn read(body: &[u8], id: &str) -> Self {
        let Ok(root) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let lead = unwrap(&root, id);
        let attributes = &lead["attributes"];
        let customer = [&attributes["customer"], &lead["customer"]].into_iter().find(|part| part.is_object());
        let field = |name: &str| customer.and_then(|customer| text(&customer[name]));
        Self {
            has_customer: customer.is_some(),
            name: field("name"),
            phones: ["phone", "phone_global", "phone2"].into_iter().filter_map(field).collect(),
            email: field("email"),
            texts: texts(lead, attributes),
        }
    }
}

/// The lead in its wrapping: a list, `data`, `lead`, or nothing.
fn unwrap<'a>(value: &'a Value, id: &str) -> &'a Value {
    match value {
        Value::Array(leads) => {
            let wanted = leads.iter().find(|lead| text(&lead["id"]).as_deref() == Some(id));
            wanted.or(leads.first()).unwrap_or(&Value::Null)
        }
        Value::Object(fields) => match fields.get("data").or_else(|| fields.get("lead")) {
            Some(inner) if inner.is_object() || inner.is_array() => unwrap(inner, id),
            _ => value,
        },
        _ => value,
    }
}

fn texts(lead: &Value, attributes: &Value) -> Vec<String> {
    let places = [
        &attributes["description"],
        &attributes["observation"],
        &attributes["first_message"],
        &lead["first_message"],
        &attributes["messages"],
        &lead["messages"],
    ];
    let mut texts = Vec::new();
    for place in places {
        collect(place, &mut texts);
    }
    for field in lead["custom_attributes"].as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (text(&field["name"]), text(&field["value"])) {
            texts.push(format!("{name}: {value}"));
        }
    }
    texts.retain(|text| !text.contains(MARK));
    texts
}

/// A text, a message with a `body` or a `message`, or a list of either.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(message) => {
            texts.extend(["body", "message"].iter().filter_map(|name| text(message.get(*name)?)));
        }
        other => texts.extend(text(other)),
    }
}

/// A text that is not blank, or a number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &Value) -> Lead {
        Lead::read(body.to_string().as_bytes(), "77")
    }

    #[test]
    fn every_wrapping_gives_the_same_lead() {
        let lead =
            json!({"id": "77", "attributes": {"customer": {"name": "Ana", "phone": "1", "email": "a@b.c"}}});
        let other = json!({"id": "78", "attributes": {"customer": {"name": "Other"}}});
        for body in [
            lead.clone(),
            json!({"data": lead}),
            json!({"lead": lead}),
            json!({"hook_action": "on_create_lead", "data": lead, "timestamp": 1}),
            json!({"data": [other, lead]}),
            json!([other, lead]),
            json!({"hook_action": "on_create_lead", "lead": {"id": 77, "internal_id": 5,
                "customer": lead["attributes"]["customer"]}}),
        ] {
            let read = read(&body);
            assert!(read.has_customer, "{body}");
            assert_eq!(read.name.as_deref(), Some("Ana"), "{body}");
            assert_eq!(read.phones, ["1"], "{body}");
            assert_eq!(read.email.as_deref(), Some("a@b.c"), "{body}");
        }
    }

    #[test]
    fn a_lead_without_attributes_or_customer_says_nothing() {
        for body in
            [json!({"id": 77}), json!({"lead_id": "77"}), json!({"data": {"id": "77", "attributes": null}})]
        {
            assert!(!read(&body).has_customer, "{body}");
        }
        assert!(!Lead::read(b"not json", "77").has_customer);
        assert!(!Lead::read(b"[]", "77").has_customer);
    }

    #[test]
    fn blanks_are_dropped_and_numbers_are_text() {
        let customer = json!({"name": " ", "phone": 11_987_654_321_u64, "phone2": "2", "phone_global": "+55", "email": ""});
        let lead = read(&json!({"id": 77, "attributes": {"customer": customer}}));
        assert!(lead.has_customer);
        assert_eq!((lead.name, lead.email), (None, None));
        assert_eq!(lead.phones, ["11987654321", "+55", "2"]);
    }

    #[test]
    fn texts_come_from_all_places_where_people_write_but_not_from_the_own_message() {
        let own = format!("{MARK}0a1b2c3d\nCPF: 529.982.247-25");
        let lead = read(&json!({
            "id": 77,
            "first_message": {"body": "f"},
            "custom_attributes": [{"name": "CPF", "value": "1"}, {"name": "x"}],
            "attributes": {
                "description": "d", "observation": "o",
                "messages": [{"body": "m"}, {"message": "n"}, {"body": own}, "s", null],
            },
        }));
        assert_eq!(lead.texts, ["d", "o", "f", "m", "n", "s", "CPF: 1"]);
    }
}
