//! Which webhooks an account needs, and what is to be done so that it has those and no others of ours. Pure.

use crate::sync::moysklad::settings::{ChildSettings, DocumentKind, Emitted, EntityKind};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::collections::BTreeSet;
use url::Url;
use uuid::Uuid;

/// Longest URL of a webhook (error 30010).
const MAX_URL: usize = 255;

/// What a webhook tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::sync::moysklad) enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    /// The API's word.
    pub(in crate::sync::moysklad) fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A webhook that an account needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sync::moysklad) struct Wanted {
    /// The API's keyword.
    pub(in crate::sync::moysklad) entity_type: &'static str,
    /// What it tells of.
    pub(in crate::sync::moysklad) action: Action,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.entity_type, self.action.word())
    }
}

fn wanted(entity_type: &'static str, actions: &[Action]) -> impl Iterator<Item = Wanted> {
    actions.iter().map(move |action| Wanted { entity_type, action: *action })
}

/// What a main account needs for these children: everything about the types that one of them gets, and its orders where
/// a state goes back. Without any child: everything about the catalogue, so that the first child finds it ready.
pub(in crate::sync::moysklad) fn of_main(children: &[ChildSettings]) -> BTreeSet<Wanted> {
    let all = [Action::Create, Action::Update, Action::Delete];
    let kinds: BTreeSet<EntityKind> = match children {
        [] => EntityKind::ALL.into(),
        children => children.iter().flat_map(|child| &child.catalog.entities).copied().collect(),
    };
    let mut needed: BTreeSet<Wanted> =
        kinds.into_iter().flat_map(|kind| wanted(kind.keyword(), &all)).collect();
    if children.iter().any(follows_states) {
        needed.extend(of_states());
    }
    needed
}

/// Whether states of main's orders go back to this child.
pub(in crate::sync::moysklad) fn follows_states(child: &ChildSettings) -> bool {
    child.orders.status_back && child.orders.organization.is_some()
}

/// What main needs for that.
pub(in crate::sync::moysklad) fn of_states() -> BTreeSet<Wanted> {
    wanted(DocumentKind::Customerorder.keyword(), &[Action::Update]).collect()
}

/// What a child needs: deletes of what it got, and its documents if they flow.
pub(in crate::sync::moysklad) fn of_child(settings: &ChildSettings) -> BTreeSet<Wanted> {
    let kinds = settings.catalog.entities.iter();
    let mut needed: BTreeSet<Wanted> =
        kinds.flat_map(|kind| wanted(kind.keyword(), &[Action::Delete])).collect();
    if settings.orders.organization.is_some() {
        let documents = settings.orders.documents.iter();
        let all = [Action::Create, Action::Update, Action::Delete];
        needed.extend(documents.flat_map(|kind| wanted(kind.keyword(), &all)));
    }
    needed
}

/// What only subscribers are told of.
pub(in crate::sync::moysklad) fn of_emitted(emitted: &BTreeSet<Emitted>) -> BTreeSet<Wanted> {
    let all = [Action::Create, Action::Update, Action::Delete];
    let of = |emitted: &Emitted| match emitted {
        Emitted::Customers => wanted("counterparty", &all[..2]),
        Emitted::Orders => wanted(DocumentKind::Customerorder.keyword(), &all),
        Emitted::PurchaseOrders => wanted(DocumentKind::Purchaseorder.keyword(), &all[..1]),
    };
    emitted.iter().flat_map(of).collect()
}

/// The URL of an account's webhooks, and how to tell webhooks of this gateway from others.
pub(super) struct Own {
    bases: [String; 2],
    token: Option<SecretString>,
    pub(super) url: String,
}

impl Own {
    /// For this `APP_URL`; without the account's secret only to recognize webhooks.
    pub(super) fn new(app_url: &Url, token: Option<&SecretString>) -> Result<Self, String> {
        let origin = app_url.as_str().trim_end_matches('/');
        let bases = [format!("{origin}/api/v1/webhooks/moysklad"), format!("{origin}/api/webhooks/moysklad")];
        let url = token.map(|token| format!("{}/{}", bases[0], token.expose_secret())).unwrap_or_default();
        if url.len() > MAX_URL {
            return Err(format!(
                "APP_URL is too long: the URL of a webhook may have {MAX_URL} characters and would have {}",
                url.len()
            ));
        }
        Ok(Self { bases, token: token.cloned(), url })
    }

    /// By its place below this `APP_URL`; or by the account's secret, under whichever name the gateway was known before.
    pub(super) fn is_own(&self, url: &str) -> bool {
        let secret = self.token.as_ref().map(secrecy::ExposeSecret::expose_secret);
        let last = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next());
        if secret.is_some_and(|secret| last == Some(secret)) {
            return true;
        }
        self.bases.iter().any(|base| {
            url.strip_prefix(base.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        })
    }
}

/// A webhook as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) id: Uuid,
    pub(super) entity_type: String,
    pub(super) action: String,
    pub(super) url: String,
    pub(super) enabled: bool,
    pub(super) diff_type: Option<String>,
}

impl Hook {
    pub(super) fn read(row: &Value) -> Option<Self> {
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        Some(Self {
            id: row["id"].as_str()?.parse().ok()?,
            entity_type: text("entityType")?,
            action: text("action")?,
            url: text("url")?,
            enabled: row["enabled"].as_bool().unwrap_or(true),
            diff_type: text("diffType"),
        })
    }

    fn is_for(&self, wanted: &Wanted) -> bool {
        self.entity_type == wanted.entity_type && self.action == wanted.action.word()
    }

    /// What is wrong with it, in words.
    fn flaw(&self, wanted: &Wanted, own: &Own) -> Option<&'static str> {
        if !self.enabled {
            Some("switched off")
        } else if self.url != own.url {
            Some("has an old URL")
        } else if wanted.action == Action::Update && self.diff_type.as_deref() != Some("FIELDS") {
            Some("does not tell the changed fields")
        } else {
            None
        }
    }
}

/// What is to be done about one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It is needed and not there.
    Create(Wanted),
    /// It is ours, needed and not as it should be.
    Mend { id: Uuid, wanted: Wanted, flaw: &'static str },
    /// It is ours, and needless.
    Remove { id: Uuid, what: String },
}

/// Ours among those that are there.
pub(super) fn own_among<'a>(there: &'a [Hook], own: &Own) -> Vec<&'a Hook> {
    there.iter().filter(|hook| own.is_own(&hook.url)).collect()
}

/// What is to be done so that exactly `needed` are there; removals come first, since the number of webhooks is limited.
pub(super) fn steps(there: &[Hook], needed: &BTreeSet<Wanted>, own: &Own) -> Vec<Step> {
    let mut ours = own_among(there, own);
    // Of several for the same, the one with the right URL stays: the others could not get it (error 30003).
    ours.sort_by_key(|hook| (hook.url != own.url, !hook.enabled));
    let mut steps = Vec::new();
    let mut later = Vec::new();
    for wanted in needed {
        match ours.iter().position(|hook| hook.is_for(wanted)) {
            None => later.push(Step::Create(*wanted)),
            Some(found) => {
                let hook = ours.remove(found);
                if let Some(flaw) = hook.flaw(wanted, own) {
                    later.push(Step::Mend { id: hook.id, wanted: *wanted, flaw });
                }
            }
        }
    }
    steps.extend(
        ours.into_iter()
            .map(|hook| Step::Remove { id: hook.id, what: format!("{}.{}", hook.entity_type, hook.action) }),
    );
    steps.extend(later);
    steps
}

/// Who has webhooks for the same: hosts only, because URLs may hold secrets.
pub(super) fn holders(there: &[Hook], wanted: &Wanted, own: &Own) -> Vec<String> {
    let others = there.iter().filter(|hook| hook.is_for(wanted) && !own.is_own(&hook.url));
    let hosts: BTreeSet<String> = others
        .map(|hook| {
            let url = Url::parse(&hook.url).ok();
            url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "?".to_owned())
        })
        .collect();
    hosts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn own() -> Own {
        Own::new(&"https://gate.example.com/".parse().unwrap(), Some(&"secret".into())).unwrap()
    }

    fn hook(n: u128, entity_type: &str, action: &str, url: &str) -> Hook {
        let diff_type = (action == "UPDATE").then(|| "FIELDS".to_owned());
        let (entity_type, action, url) = (entity_type.to_owned(), action.to_owned(), url.to_owned());
        Hook { id: Uuid::from_u128(n), entity_type, action, url, enabled: true, diff_type }
    }

    const URL: &str = "https://gate.example.com/api/v1/webhooks/moysklad/secret";

    fn product() -> BTreeSet<Wanted> {
        wanted("product", &[Action::Create, Action::Update]).collect()
    }

    #[test]
    fn what_is_there_as_it_should_be_needs_nothing() {
        assert_eq!(own().url, URL);
        let there = [hook(1, "product", "CREATE", URL), hook(2, "product", "UPDATE", URL)];
        assert_eq!(steps(&there, &product(), &own()), []);
    }

    #[test]
    fn ours_is_adopted_mended_or_removed_and_that_of_others_is_not_touched() {
        let old = "https://gate.example.com/api/v1/webhooks/moysklad?token=old";
        let mut off = hook(2, "product", "UPDATE", URL);
        off.enabled = false;
        let there = [
            hook(1, "product", "CREATE", old),
            off,
            hook(3, "product", "UPDATE", old),
            hook(4, "store", "CREATE", URL),
            hook(5, "store", "DELETE", "https://gate.example.com.evil.example/api/v1/webhooks/moysklad/x"),
            hook(6, "product", "DELETE", "https://gate.example.com/api/v1/webhooks/moyskladder"),
            hook(7, "product", "CREATE", "https://other.example/hook"),
        ];
        let wanted = |action| Wanted { entity_type: "product", action };
        assert_eq!(
            steps(&there, &product(), &own()),
            [
                Step::Remove { id: Uuid::from_u128(4), what: "store.CREATE".to_owned() },
                Step::Remove { id: Uuid::from_u128(3), what: "product.UPDATE".to_owned() },
                Step::Mend { id: Uuid::from_u128(1), wanted: wanted(Action::Create), flaw: "has an old URL" },
                Step::Mend { id: Uuid::from_u128(2), wanted: wanted(Action::Update), flaw: "switched off" },
            ]
        );
        assert_eq!(holders(&there, &wanted(Action::Create), &own()), ["other.example"]);
    }

    #[test]
    fn webhooks_of_a_former_app_url_are_ours_by_their_secret() {
        let there = [
            hook(1, "product", "CREATE", "https://old.example.com/api/v1/webhooks/moysklad/secret"),
            hook(2, "product", "UPDATE", "https://old.example.com/api/v1/webhooks/moysklad/other"),
            hook(3, "product", "UPDATE", "https://old.example.com/secret/x"),
        ];
        let ours: Vec<Uuid> = own_among(&there, &own()).iter().map(|hook| hook.id).collect();
        assert_eq!(ours, [Uuid::from_u128(1)]);
        assert!(matches!(steps(&there, &product(), &own())[0], Step::Mend { flaw: "has an old URL", .. }));
    }

    #[test]
    fn an_update_that_does_not_tell_the_fields_is_mended() {
        let mut hook = hook(1, "product", "UPDATE", URL);
        hook.diff_type = Some("NONE".to_owned());
        let needed: BTreeSet<Wanted> = wanted("product", &[Action::Update]).collect();
        assert!(matches!(steps(&[hook], &needed, &own())[..], [Step::Mend { .. }]));
        assert!(matches!(steps(&[], &needed, &own())[..], [Step::Create(_)]));
    }

    #[test]
    fn roles_and_settings_say_what_is_needed() {
        let names = |needed: BTreeSet<Wanted>| needed.iter().map(ToString::to_string).collect::<Vec<_>>();
        let read = |value| ChildSettings::read(&value).unwrap();
        assert_eq!(of_main(&[]).len(), 15);
        let products = read(json!({"catalog": {"entities": ["product"]}}));
        assert_eq!(
            names(of_main(std::slice::from_ref(&products))),
            ["product.CREATE", "product.UPDATE", "product.DELETE"]
        );
        assert_eq!(names(of_child(&products)), ["product.DELETE"]);
        let orders = read(json!({
            "catalog": {"entities": []},
            "orders": {"organization": Uuid::nil(), "documents": ["customerorder"], "status_back": true},
        }));
        assert_eq!(
            names(of_child(&orders)),
            ["customerorder.CREATE", "customerorder.UPDATE", "customerorder.DELETE"]
        );
        assert_eq!(of_main(&[products, orders]).len(), 4);
    }

    #[test]
    fn what_only_subscribers_are_told_of_is_asked_for() {
        let emitted = BTreeSet::from([Emitted::Customers, Emitted::PurchaseOrders]);
        let names: Vec<String> = of_emitted(&emitted).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["counterparty.CREATE", "counterparty.UPDATE", "purchaseorder.CREATE"]);
        assert_eq!(of_emitted(&[Emitted::Orders].into()).len(), 3);
    }

    #[test]
    fn a_url_that_is_too_long_is_refused() {
        let app_url = format!("https://gate.example.com/{}", "x".repeat(230)).parse().unwrap();
        assert!(Own::new(&app_url, Some(&"secret".into())).is_err_and(|error| error.contains("APP_URL")));
    }
}
