//! States of documents: by name they mean the same in two accounts.

use super::super::api::{AccountApi, ApiError, id_of};
use super::super::settings::OrderSettings;
use crate::queue::HandlerError;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// States of one type of documents in one account.
#[derive(Debug, Default)]
pub(in super::super) struct States(Vec<State>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct State {
    pub(in super::super) id: Uuid,
    pub(in super::super) name: String,
    /// `Regular`, `Successful` or `Unsuccessful`.
    #[serde(default, rename = "stateType")]
    pub(in super::super) kind: String,
}

impl States {
    /// Those of a type of documents.
    pub(in super::super) async fn read(api: &AccountApi, kind: &str) -> Result<Self, ApiError> {
        let mut reply =
            api.get("GET /entity/{document}/metadata", &format!("/entity/{kind}/metadata"), &[]).await?;
        match reply["states"].take() {
            // Not shown where there are none.
            Value::Null => Ok(Self::default()),
            states => serde_json::from_value(states).map(Self).map_err(|_| {
                HandlerError::Retry("moysklad: the states of documents are unreadable".to_owned()).into()
            }),
        }
    }

    /// The state that a document is in.
    pub(in super::super) fn of(&self, document: &Value) -> Option<&State> {
        let id = id_of(document.get("state")?)?;
        self.0.iter().find(|state| state.id == id)
    }

    /// The state with this name.
    pub(super) fn named(&self, name: &str) -> Option<&State> {
        self.0.iter().find(|state| state.name == name)
    }

    /// Whether a new document is in this state.
    pub(in super::super) fn is_first(&self, state: &State) -> bool {
        self.0.first() == Some(state)
    }
}

/// What a child's state is called in main.
pub(super) fn in_main<'a>(settings: &'a OrderSettings, child: &'a str) -> &'a str {
    settings.states.get(child).map_or(child, |main| main)
}

/// What main's state is called in the child: the first that the settings lead from, or the one of the same name, unless
/// the settings lead from that to another one.
pub(super) fn in_child<'a>(settings: &'a OrderSettings, main: &'a str) -> Option<&'a str> {
    let mapped = settings.states.iter().find(|(_, target)| *target == main).map(|(child, _)| &**child);
    mapped.or_else(|| (in_main(settings, main) == main).then_some(main))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_there_and_back() {
        let states = [("New", "Neu"), ("Done", "Fertig")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let settings = OrderSettings { states: states.into(), ..OrderSettings::default() };
        assert_eq!(in_main(&settings, "New"), "Neu");
        assert_eq!(in_main(&settings, "Packed"), "Packed");
        assert_eq!(in_child(&settings, "Fertig"), Some("Done"));
        assert_eq!(in_child(&settings, "Packed"), Some("Packed"));
        assert_eq!(in_child(&settings, "New"), None, "the child's New is another state of main");
    }
}
