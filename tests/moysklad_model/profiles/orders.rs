//! What becomes of the children's documents, and what main and they have to make them with.

use crate::support::moysklad::Simulator;
use serde_json::{Value, json};
use uuid::Uuid;

/// States of documents in a child; the last is unknown to main.
pub const CHILD_STATES: [&str; 5] = ["Новый", "Подтвержден", "Доставлен", "Отменен", "Frozen"];
/// States of orders in main; the last is unknown to the children.
pub const MAIN_STATES: [&str; 5] = ["Новый", "Подтвержден", "Доставлен", "Отменен", "Packed"];

/// A counterparty that every child has: code, name, company type, INN, telephone.
pub type Customer = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Main has the second from the start. Who tells neither INN nor telephone is another one in each child.
pub const CUSTOMERS: [Customer; 4] = [
    ("c-legal", "Romashka", "legal", "7701000001", ""),
    ("c-known", "Known", "legal", "7702000002", ""),
    ("c-person", "Ivan", "individual", "", "+79001112233"),
    ("c-nobody", "Passer-by", "individual", "", ""),
];

/// How a child's documents flow.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Orders {
    /// Types that do.
    pub kinds: &'static [&'static str],
    /// All are one counterparty's in main.
    pub stub: bool,
    pub store: bool,
    pub prefix: Option<&'static str>,
    pub back: bool,
    pub only_applicable: bool,
    /// The child's states and main's.
    pub states: &'static [(&'static str, &'static str)],
}

/// Every type, real counterparties, states there and back.
pub const PLAIN: Orders = Orders {
    kinds: &["customerorder", "retaildemand", "purchaseorder"],
    stub: false,
    store: false,
    prefix: None,
    back: true,
    only_applicable: true,
    states: &[],
};
pub const NONE: Orders = Orders { kinds: &[], ..PLAIN };
pub const STUB: Orders = Orders { stub: true, store: true, prefix: Some("KZN-"), back: false, ..PLAIN };
pub const ALL: Orders =
    Orders { only_applicable: false, states: &[("Подтвержден", "Packed")], ..PLAIN };
pub const SOME: Orders = Orders { kinds: &["customerorder"], prefix: Some("F/"), ..PLAIN };

/// Where documents go in main.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub organization: Uuid,
    pub store: Uuid,
    pub stand_in: Uuid,
}

impl Head {
    /// Makes what is needed in main.
    pub fn furnish(sim: &Simulator, main: Uuid) -> Self {
        let person = sim.person(main);
        person.create("counterparty", &customer(&CUSTOMERS[1], "")).unwrap();
        person.add_state("customerorder", MAIN_STATES[4]).unwrap();
        Self {
            organization: sim.first(main, "organization"),
            store: sim.first(main, "store"),
            stand_in: sim.create_in(main, "counterparty", json!({"name": "All children"})),
        }
    }
}

impl Orders {
    /// The settings of the account.
    pub fn settings(&self, head: &Head) -> Value {
        if self.kinds.is_empty() {
            return json!({});
        }
        let states: Value = self.states.iter().map(|(from, to)| ((*from).to_owned(), json!(to))).collect();
        let mut settings = json!({
            "organization": head.organization, "documents": self.kinds, "status_back": self.back,
            "only_applicable": self.only_applicable, "states": states, "number_prefix": self.prefix,
        });
        if self.stub {
            settings["counterparty"] = json!({"stub": head.stand_in});
        }
        if self.store {
            settings["store"] = json!(head.store);
        }
        settings
    }

    /// What a child's state is called in main; none if main has no such one.
    pub fn in_main(&self, child: &'static str) -> Option<&'static str> {
        let named = self.states.iter().find(|(from, _)| *from == child).map_or(child, |(_, to)| to);
        MAIN_STATES.contains(&named).then_some(named)
    }

    /// What main's state is called in the child; none if it has no such one.
    pub fn in_child(&self, main: &'static str) -> Option<&'static str> {
        let mapped = self.states.iter().find(|(_, to)| *to == main).map(|(from, _)| *from);
        let named = mapped.or_else(|| (self.in_main(main) == Some(main)).then_some(main))?;
        CHILD_STATES.contains(&named).then_some(named)
    }
}

/// Makes what a child needs for its documents.
pub fn furnish(sim: &Simulator, child: Uuid, name: &str) {
    let person = sim.person(child);
    for one in &CUSTOMERS {
        person.create("counterparty", &customer(one, name)).unwrap();
    }
    for kind in PLAIN.kinds {
        person.add_state(kind, CHILD_STATES[4]).unwrap();
    }
}

/// What a customer is called in this child.
pub fn name_of(customer: &Customer, child: &str) -> String {
    let (_, name, _, inn, phone) = customer;
    if inn.is_empty() && phone.is_empty() { format!("{name} of {child}") } else { (*name).to_owned() }
}

fn customer(customer: &Customer, child: &str) -> Value {
    let (code, _, company_type, inn, phone) = customer;
    let mut body = json!({"name": name_of(customer, child), "code": code, "companyType": company_type});
    for (name, value) in [("inn", inn), ("phone", phone)] {
        if !value.is_empty() {
            body[name] = (*value).into();
        }
    }
    body
}
