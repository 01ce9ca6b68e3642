//! What operators change of a child's settings while everything goes on.

use super::edit::Edit;
use super::expect::accepts;
use super::profiles::{Filter, Profile};
use super::world::World;
use crate::moysklad_sync::account_path;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::Serialize;
use serde_json::json;

/// Where main's prices may go; none: to the same name.
type PriceMap = Option<&'static [(&'static str, &'static str)]>;

const PRICE_MAPS: [PriceMap; 4] = [
    None,
    Some(&[("Retail", "Retail"), ("buyPrice", "Wholesale")]),
    Some(&[("Staff", "Retail"), ("Wholesale", "buyPrice")]),
    Some(&[("Retail", "Sale"), ("buyPrice", "Cost"), ("Staff", "buyPrice")]),
];
const ATTRIBUTES: [Option<&[&str]>; 3] =
    [None, Some(&["Paint", "Fabric"]), Some(&["Promo", "Notes", "Rank"])];

/// One setting of a child.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Change {
    Prices(PriceMap),
    Attributes(Option<&'static [&'static str]>),
    Folders(bool),
    /// Only of the child that has one from the start: others' twins would not be known again.
    Filter(Filter),
    Vat(&'static str),
}

impl Change {
    pub fn draw(rng: &mut StdRng, has_filter: bool) -> Self {
        match rng.random_range(0..if has_filter { 5 } else { 4 }) {
            0 => Self::Prices(PRICE_MAPS[rng.random_range(0..PRICE_MAPS.len())]),
            1 => Self::Attributes(ATTRIBUTES[rng.random_range(0..ATTRIBUTES.len())]),
            2 => Self::Folders(rng.random_bool(0.5)),
            3 => Self::Vat(["copy", "leave", "without"][rng.random_range(0..3_usize)]),
            _ => {
                let all = [Filter::None, Filter::Folder, Filter::Promo, Filter::NotRed];
                Self::Filter(all[rng.random_range(0..all.len())])
            }
        }
    }

    fn apply(self, profile: &mut Profile) {
        match self {
            Self::Prices(prices) => profile.prices = prices,
            Self::Attributes(only) => profile.only = only,
            Self::Folders(folders) => {
                profile.had_folders |= profile.folders;
                profile.folders = folders;
            }
            Self::Filter(filter) => profile.filter = filter,
            Self::Vat(vat) => profile.vat = vat,
        }
    }
}

impl World {
    /// Changes a setting through the API. What is there already is brought in step by [`World::import_changed`].
    pub async fn change_settings(&mut self, n: usize, change: Change) {
        let wanted = self.book.of("productfolder")[0].id;
        let child = &mut self.children[n];
        change.apply(&mut child.profile);
        child.is_changed = true;
        let profile = child.profile;
        let body = json!({
            "name": profile.name, "role": "child", "parent_account_id": self.main,
            "settings": profile.settings(wanted, &self.head),
        });
        let (status, reply) = self.gateway.admin("PUT", &account_path(child.account), &body).await;
        assert_eq!(status, 200, "{reply}");
        for kind in ["product", "service", "variant", "bundle"] {
            for slot in self.book.alive(kind) {
                let shown = self.sim.entity(self.main, self.book.of(kind)[slot].id, &[]).unwrap();
                let now = accepts(&self.sim, self.main, profile.filter, &shown);
                let accepted = &mut self.book.of_mut(kind)[slot].accepted[n];
                *accepted = (now, accepted.1 || now);
            }
        }
        self.note(Edit::Settings(n, change));
    }

    /// What an operator does after a change of settings.
    pub async fn import_changed(&self) {
        for child in self.children.iter().filter(|child| child.is_changed) {
            let import = ["sync", "full", "--account", &child.account.to_string()];
            let import = self.gateway.run(&import).await;
            let said = String::from_utf8_lossy(&import.stderr);
            assert!(import.status.success(), "seed {}: {}: {said}", self.seed, child.profile.name);
        }
    }
}
