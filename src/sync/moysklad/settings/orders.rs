//! What flows from a child to main.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use uuid::Uuid;

/// What flows from a child to main.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrderSettings {
    /// Documents that flow: `customerorder`, `retaildemand`, `purchaseorder`. Default: none before `organization` is set.
    pub documents: BTreeSet<DocumentKind>,
    /// Organization of main that the orders belong to. Without it no document flows.
    pub organization: Option<Uuid>,
    /// Whose orders they are in main.
    pub counterparty: CounterpartyPolicy,
    /// Store of main.
    pub store: Option<Uuid>,
    /// Names of states: the child's to main's. Absent: the state of the same name, if main has it.
    pub states: BTreeMap<String, String>,
    /// Whether main's state goes back to the child's order. Default false.
    pub status_back: bool,
    /// Only documents that are applicable. Default true.
    pub only_applicable: bool,
    /// Put before the child's number.
    pub number_prefix: Option<String>,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            documents: [DocumentKind::Customerorder, DocumentKind::Retaildemand, DocumentKind::Purchaseorder]
                .into(),
            organization: None,
            counterparty: CounterpartyPolicy::Real,
            store: None,
            states: BTreeMap::new(),
            status_back: false,
            only_applicable: true,
            number_prefix: None,
        }
    }
}

/// A document that flows from child to main.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKind {
    /// An order of a customer.
    Customerorder,
    /// A sale over the counter.
    Retaildemand,
    /// An order to a supplier.
    Purchaseorder,
}

impl DocumentKind {
    /// The API's keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Customerorder => "customerorder",
            Self::Retaildemand => "retaildemand",
            Self::Purchaseorder => "purchaseorder",
        }
    }
}

/// Whose orders a child's orders are in main.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum CounterpartyPolicy {
    /// The same counterparty: matched by INN, telephone or e-mail, made if main has none.
    Real,
    /// Always this counterparty of main, which stands for the child.
    Stub(Uuid),
}
