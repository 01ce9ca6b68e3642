//! Whether every child is as main says, with nothing missing, nothing twice and nothing extra.

use super::book::Slot;
use super::expect;
use super::words::{self, Thing};
use super::world::{Child, World};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// What is wrong, and with which entity of main.
#[derive(Debug, Clone)]
pub struct Wrong {
    pub child: &'static str,
    pub entity: Option<(&'static str, usize)>,
    pub text: String,
}

impl World {
    /// Everything that is not as it shall be.
    pub fn differences(&self) -> Vec<Wrong> {
        let ours = words::read(&self.sim, self.main);
        let ours: HashMap<Uuid, Thing> = ours.into_iter().map(|thing| (thing.id, thing)).collect();
        let of_child = |(n, child)| Compare::new(self, n, child, &ours).all();
        self.children.iter().enumerate().flat_map(of_child).collect()
    }
}

struct Compare<'a> {
    world: &'a World,
    n: usize,
    child: &'a Child,
    main: &'a HashMap<Uuid, Thing>,
    /// What the child holds that is not its own, by kind and external code.
    theirs: BTreeMap<(&'static str, String), Vec<Thing>>,
    everything: Vec<Thing>,
    wrong: Vec<Wrong>,
}

impl<'a> Compare<'a> {
    fn new(world: &'a World, n: usize, child: &'a Child, main: &'a HashMap<Uuid, Thing>) -> Self {
        let everything = words::read(&world.sim, child.account);
        let mut theirs: BTreeMap<_, Vec<Thing>> = BTreeMap::new();
        for thing in &everything {
            if !world.owned.contains_key(&(n, thing.id)) {
                theirs.entry((thing.kind, thing.code.clone())).or_default().push(thing.clone());
            }
        }
        Self { world, n, child, main, theirs, everything, wrong: Vec::new() }
    }

    fn all(mut self) -> Vec<Wrong> {
        for kind in super::book::KINDS {
            for slot in 0..self.world.book.of(kind).len() {
                self.slot(kind, slot);
            }
        }
        self.extra();
        self.own();
        self.twice();
        self.wrong
    }

    fn say(&mut self, entity: Option<(&'static str, usize)>, text: String) {
        self.wrong.push(Wrong { child: self.child.profile.name, entity, text });
    }

    fn slot(&mut self, kind: &'static str, n: usize) {
        let slot = &self.world.book.of(kind)[n];
        if !slot.alive {
            return;
        }
        if kind == "productfolder" && !self.child.profile.folders && self.child.profile.had_folders {
            slot.codes.iter().for_each(|code| drop(self.theirs.remove(&(kind, code.clone()))));
            return;
        }
        let ours = &self.main[&slot.id];
        let rule = self.rule(slot, ours);
        let found = self.theirs.get_mut(&(kind, ours.code.clone())).map(std::mem::take).unwrap_or_default();
        // What main deleted and made again may be there once more: in the archive, or as a folder, which has none.
        let (archived, mut live): (Vec<Thing>, Vec<Thing>) =
            found.into_iter().partition(|thing| thing.fields["archived"] == true);
        let mut archived = archived;
        let far = |thing: &Thing| {
            let all = expect::differences(&self.child.profile, ours, thing);
            all.iter().filter(|text| counts(rule, text)).count()
        };
        if kind == "productfolder" {
            live.sort_by_key(far);
            archived.extend(live.drain(1.min(live.len())..));
        }
        // And what a child had made by hand need not be known again, since its word may have changed in main meanwhile:
        // there what each of them holds tells which is main's.
        let is_twin = slot.codes.iter().any(|code| self.world.book.twins.contains(&(self.n, code.clone())));
        let (counterpart, rest) = match (live.as_slice(), archived.as_slice()) {
            _ if is_twin => {
                archived.append(&mut live);
                archived.sort_by_key(far);
                let is_mains = archived.first().is_some_and(|best| rule == Rule::Must || far(best) == 0);
                (is_mains.then(|| archived.remove(0)), archived)
            }
            // What is archived in main need not have been made, and a deleted one of its code is not to be taken for it.
            ([], [_, ..]) if ours.fields["archived"] == true => {
                archived.sort_by_key(far);
                let is_mains = far(&archived[0]) == 0 || archived.len() > self.deleted(kind, &ours.code);
                (is_mains.then(|| archived.remove(0)), archived)
            }
            ([live], _) => (Some(live.clone()), archived),
            ([], _) => (None, archived),
            (many, _) => {
                let text = format!("{kind} {n} is there {} times", many.len());
                self.say(Some((kind, n)), text);
                return;
            }
        };
        self.theirs.insert((kind, ours.code.clone()), rest);
        match (counterpart, rule) {
            (None, Rule::Must) => self.say(Some((kind, n)), format!("{kind} {n} ({}) is missing", ours.code)),
            (Some(_), Rule::MustNot) => self.say(Some((kind, n)), format!("{kind} {n} is not wanted")),
            (Some(theirs), Rule::Must | Rule::May | Rule::Lacks) => {
                for text in expect::differences(&self.child.profile, ours, &theirs) {
                    if counts(rule, &text) {
                        self.say(Some((kind, n)), format!("{kind} {n} ({}): {text}", ours.code));
                    }
                }
            }
            (None, _) => {}
        }
    }

    /// How many of main's that had this code are deleted.
    fn deleted(&self, kind: &'static str, code: &str) -> usize {
        let book = &self.world.book;
        let had = |n: &usize| book.of(kind)[*n].codes.iter().any(|one| one == code);
        book.dead(kind).into_iter().filter(had).count()
    }

    /// Whether the child shall have it.
    fn rule(&self, slot: &Slot, ours: &Thing) -> Rule {
        let has = |kind: &'static str, code: &Value| {
            let code = code.as_str().unwrap_or_default().to_owned();
            self.everything.iter().any(|thing| thing.kind == kind && thing.code == code)
        };
        let archived = ours.fields["archived"] == true;
        match ours.kind {
            "productfolder" if !self.child.profile.folders => return Rule::MustNot,
            "productfolder" => return Rule::Must,
            "variant" => {
                let product = has("product", &ours.fields["product"]);
                return match (product, archived) {
                    (false, _) => Rule::MustNot,
                    (true, true) => Rule::May,
                    (true, false) => Rule::Must,
                };
            }
            "bundle" => {
                let parts = ours.fields["components"].as_array().unwrap().iter();
                let there =
                    |part: &Value| ["product", "service", "variant"].iter().any(|kind| has(kind, &part[0]));
                if !parts.clone().all(there) {
                    return Rule::Lacks;
                }
            }
            _ => {}
        }
        let (accepted, ever) = slot.accepted[self.n];
        let shown = &ours.shown;
        let now = expect::accepts(&self.world.sim, self.world.main, self.child.profile.filter, shown);
        match (now && accepted && !archived, ever) {
            (true, _) => Rule::Must,
            (false, true) => Rule::May,
            (false, false) => Rule::MustNot,
        }
    }

    /// What is left must be what main has deleted, archived, and not more often than main had it.
    fn extra(&mut self) {
        let mut deleted: HashMap<(&'static str, &str), Vec<usize>> = HashMap::new();
        for kind in super::book::KINDS {
            for n in self.world.book.dead(kind) {
                for code in &self.world.book.of(kind)[n].codes {
                    deleted.entry((kind, code)).or_default().push(n);
                }
            }
        }
        let mut found = Vec::new();
        for ((kind, code), things) in &self.theirs {
            let is_twin = self.world.book.twins.contains(&(self.n, code.clone()));
            let known = deleted.get(&(*kind, code)).map_or(&[][..], Vec::as_slice);
            let entity = known.first().map(|n| (*kind, *n));
            let most = known.len() + usize::from(is_twin);
            if things.len() > most {
                let text = format!("{} of {kind} {code:?} are too many", things.len() - most);
                found.push((entity, text));
            }
            let is_live =
                |thing: &&Thing| *kind != "productfolder" && !is_twin && thing.fields["archived"] != true;
            for thing in things.iter().filter(is_live) {
                let text = format!("{kind} {code:?} ({}) is deleted in main and not archived", thing.id);
                found.push((entity, text));
            }
        }
        for (entity, text) in found {
            self.say(entity, text);
        }
    }

    /// What the child set or made itself is as it left it.
    fn own(&mut self) {
        let account = self.child.account;
        let mut texts = Vec::new();
        for ((_, id), before) in self.world.owned.iter().filter(|((child, _), _)| *child == self.n) {
            let now = self.world.sim.entity(account, *id, &[]).unwrap_or_default();
            if now != *before {
                texts.push(format!("its own {id} was {before} and is {now}"));
            }
        }
        for ((_, id), kept) in self.world.kept.iter().filter(|((child, _), _)| *child == self.n) {
            let Some(thing) = self.everything.iter().find(|thing| thing.id == *id) else {
                texts.push(format!("{id}, which it had set fields of, is gone"));
                continue;
            };
            for (field, value) in kept {
                let now = match *field {
                    "note" => thing.fields.get("attribute/Child note").cloned().unwrap_or_default(),
                    "own" => thing.fields["price/Own"][0].as_str().unwrap().parse().unwrap(),
                    _ => thing.shown["minimumBalance"]
                        .as_f64()
                        .map(|float| float.to_string())
                        .unwrap()
                        .parse()
                        .unwrap(),
                };
                if now != *value {
                    texts.push(format!(
                        "its {field} of {} {} was {value} and is {now}",
                        thing.kind, thing.code
                    ));
                }
            }
        }
        for text in texts {
            self.say(None, text);
        }
    }

    /// Units, fabrics and characteristics of one name.
    fn twice(&mut self) {
        for kind in ["uom", "customentity"] {
            let all = self.world.sim.entities(self.child.account, kind);
            let mut seen = BTreeSet::new();
            for entity in all {
                let name = entity["name"].as_str().unwrap_or_default().to_owned();
                if !seen.insert(name.clone()) {
                    let of_kind = |one: &&crate::support::moysklad::Recorded| one.path.contains(kind);
                    let writes = self.world.sim.writes(self.child.account);
                    let made: Vec<String> = writes
                        .iter()
                        .filter(of_kind)
                        .map(|one| format!("{} {}", one.body, one.status))
                        .collect();
                    self.say(None, format!("{kind} {name} is there twice; {made:?}"));
                }
            }
        }
    }
}

/// Until the child has its parts, a bundle that is there already keeps those that it had.
fn counts(rule: Rule, difference: &str) -> bool {
    rule != Rule::Lacks || !difference.starts_with("components ")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Must,
    May,
    MustNot,
    /// It waits visibly for what the child does not have; if it is there already, the rest of it is kept.
    Lacks,
}
