//! Which lines of main's order are to be added, changed and removed so that it has those of the child's document.

use super::lines::{self, Wanted};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What is to be done with the lines of main's order.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// Lines that main lacks.
    pub(super) add: Vec<&'a Wanted>,
    /// Lines that are otherwise in main, with their id there.
    pub(super) change: Vec<(Uuid, &'a Wanted)>,
    /// Lines of main whose counterpart is gone.
    pub(super) remove: Vec<Uuid>,
    /// The same with their former counterparts, child's id, main's id: they are ours until they are gone.
    pub(super) leaving: Vec<(Uuid, Uuid)>,
    /// Lines that have a counterpart: child's id, main's id.
    pub(super) pairs: Vec<(Uuid, Uuid)>,
    /// Lines that somebody has added in main; they are left alone.
    pub(super) foreign: Vec<&'a Value>,
}

impl Plan<'_> {
    /// Whether main's lines are as they shall be.
    pub(super) fn is_done(&self) -> bool {
        self.add.is_empty() && self.change.is_empty() && self.remove.is_empty()
    }
}

/// Compares what main shall have with what it has. `known`: main's line of each of the child's lines, as far as that was
/// stored. `unfinished`: the write before was cut off, so lines of ours may be there that nobody knows.
pub(super) fn plan<'a>(
    wanted: &'a [Wanted],
    actual: &'a [Value],
    known: &HashMap<Uuid, Uuid>,
    unfinished: bool,
) -> Plan<'a> {
    let mut plan = Plan::default();
    let mut free: Vec<(Uuid, &Value)> =
        actual.iter().filter_map(|line| Some((lines::id(line)?, line))).collect();
    let by_id: HashMap<Uuid, &Value> = free.iter().copied().collect();
    let mut taken = HashSet::new();
    let mut alone = Vec::new();
    for line in wanted {
        match known.get(&line.child).and_then(|id| by_id.get_key_value(id)) {
            Some((id, theirs)) if taken.insert(*id) => plan.pair(*id, line, theirs),
            _ => alone.push(line),
        }
    }
    let ours: HashSet<&Uuid> = known.values().collect();
    for (id, _) in &free {
        if ours.contains(id) && !taken.contains(id) {
            plan.remove.push(*id);
        }
    }
    let going: HashSet<&Uuid> = plan.remove.iter().collect();
    let leaving = known.iter().filter(|(_, id)| going.contains(id));
    plan.leaving = leaving.map(|(child, id)| (*child, *id)).collect();
    free.retain(|(id, _)| !ours.contains(id));
    // An order that was just made, or whose making was cut off, has lines that are equal and not known yet.
    alone.retain(|line| !plan.adopt(&mut free, line, |theirs| line.is_held_by(theirs)));
    if unfinished {
        alone.retain(|line| !plan.adopt(&mut free, line, |theirs| line.sells_what(theirs)));
    }
    plan.add = alone;
    plan.foreign = free.into_iter().map(|(_, line)| line).collect();
    plan
}

impl<'a> Plan<'a> {
    fn pair(&mut self, id: Uuid, line: &'a Wanted, theirs: &Value) {
        self.pairs.push((line.child, id));
        if !line.is_held_by(theirs) {
            self.change.push((id, line));
        }
    }

    fn adopt(
        &mut self,
        free: &mut Vec<(Uuid, &'a Value)>,
        line: &'a Wanted,
        fits: impl Fn(&Value) -> bool,
    ) -> bool {
        let Some(place) = free.iter().position(|(_, theirs)| fits(theirs)) else { return false };
        let (id, theirs) = free.remove(place);
        self.pair(id, line, theirs);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::position;
    use super::super::lines::{Words, translate};
    use super::*;
    use proptest::prelude::*;

    /// Lines of the child: id, what it sells, quantity. Main knows each item as itself plus 100.
    fn wanted(lines: &[(u128, u128, u32)]) -> Vec<Wanted> {
        let items = (1..10).map(|n| (("product".to_owned(), Uuid::from_u128(n)), Uuid::from_u128(n + 100)));
        let words = Words { items: items.collect(), ..Words::default() };
        let lines: Vec<Value> =
            lines.iter().map(|(id, sold, quantity)| line(*id, *sold, *quantity)).collect();
        translate(&lines, &words, "https://h", true).unwrap()
    }

    fn line(id: u128, sold: u128, quantity: u32) -> Value {
        position(id, "product", sold, &format!(r#", "quantity": {quantity}, "price": 100"#))
    }

    fn known(pairs: &[(u128, u128)]) -> HashMap<Uuid, Uuid> {
        pairs.iter().map(|(child, main)| (Uuid::from_u128(*child), Uuid::from_u128(*main))).collect()
    }

    #[test]
    fn changed_lines_keep_their_ids_and_only_what_changed_is_touched() {
        let wanted = wanted(&[(50, 1, 2), (51, 2, 5), (53, 3, 1)]);
        let actual = [line(150, 101, 2), line(151, 102, 4), line(152, 103, 9), line(199, 104, 1)];
        let plan = plan(&wanted, &actual, &known(&[(50, 150), (51, 151), (52, 152)]), false);
        assert_eq!(plan.change, [(Uuid::from_u128(151), &wanted[1])]);
        assert_eq!(plan.add, [&wanted[2]]);
        assert_eq!(plan.remove, [Uuid::from_u128(152)]);
        assert_eq!(plan.leaving, [(Uuid::from_u128(52), Uuid::from_u128(152))]);
        assert_eq!(plan.foreign, [&actual[3]]);
        assert_eq!(plan.pairs.len(), 2);
    }

    #[test]
    fn a_new_order_recognizes_its_own_lines_one_for_one() {
        let wanted = wanted(&[(50, 1, 2), (51, 1, 2), (52, 2, 1)]);
        let actual = [line(152, 102, 1), line(150, 101, 2), line(151, 101, 2)];
        let plan = plan(&wanted, &actual, &HashMap::new(), false);
        assert!(plan.is_done() && plan.foreign.is_empty());
        let mains: HashSet<Uuid> = plan.pairs.iter().map(|pair| pair.1).collect();
        assert_eq!(mains.len(), 3);
    }

    #[test]
    fn after_a_write_that_was_cut_off_a_line_that_sells_the_same_is_taken_for_ours() {
        let wanted = wanted(&[(50, 1, 3)]);
        let actual = [line(150, 101, 2)];
        let cut_off = plan(&wanted, &actual, &HashMap::new(), true);
        assert_eq!((cut_off.change.len(), cut_off.add.len(), cut_off.foreign.len()), (1, 0, 0));
        let not = plan(&wanted, &actual, &HashMap::new(), false);
        assert_eq!((not.change.len(), not.add.len(), not.foreign.len()), (0, 1, 1));
    }

    #[test]
    fn a_line_that_somebody_deleted_in_main_is_made_again() {
        let wanted = wanted(&[(50, 1, 3)]);
        let plan = plan(&wanted, &[], &known(&[(50, 150)]), false);
        assert_eq!(plan.add.len(), 1);
        assert!(plan.pairs.is_empty() && plan.remove.is_empty());
    }

    proptest! {
        /// Whatever was there: after the plan main has each wanted line once, and beside them only others' lines.
        #[test]
        fn the_plan_leads_to_the_childs_lines(
            child in prop::collection::btree_map(0_u128..20, (1_u128..5, 1_u32..4), 0..12),
            main in prop::collection::btree_map(100_u128..120, (1_u128..5, 1_u32..4), 0..12),
            links in prop::collection::btree_map(0_u128..20, 100_u128..120, 0..12),
            unfinished: bool,
        ) {
            let lines: Vec<_> = child.iter().map(|(id, (sold, quantity))| (*id, *sold, *quantity)).collect();
            let wanted = wanted(&lines);
            let actual: Vec<Value> =
                main.iter().map(|(id, (sold, quantity))| line(*id, sold + 100, *quantity)).collect();
            let links: Vec<_> = links.into_iter().collect();
            let plan = plan(&wanted, &actual, &known(&links), unfinished);
            prop_assert_eq!(plan.pairs.len() + plan.add.len(), wanted.len());
            let mains: HashSet<Uuid> = plan.pairs.iter().map(|pair| pair.1).collect();
            prop_assert_eq!(mains.len(), plan.pairs.len(), "no line of main stands for two");
            prop_assert_eq!(mains.len() + plan.remove.len() + plan.foreign.len(), actual.len());
            prop_assert!(plan.remove.iter().all(|id| !mains.contains(id)));
            for (child, id) in &plan.pairs {
                let line = wanted.iter().find(|line| line.child == *child).unwrap();
                let theirs = actual.iter().find(|theirs| lines::id(theirs) == Some(*id)).unwrap();
                let changed = plan.change.iter().any(|change| change.0 == *id);
                prop_assert_eq!(changed, !line.is_held_by(theirs));
            }
        }
    }
}
