//! Whether the copy of a document is as the document beside its lines, and in which states the two may be.

use super::Paper;
use super::lines;
use serde_json::Value;

impl Paper<'_> {
    pub(super) fn header(&mut self, theirs: &Value, copy: &Value) {
        let Self { world, n, sheet, reader, ours, .. } = *self;
        let child = &world.children[sheet.child];
        let orders = child.profile.orders;
        let mut same = |name: &str, wanted: &Value, got: &Value| {
            if wanted != got {
                self.texts.push(format!("{name} is {got} and shall be {wanted}"));
            }
        };
        for name in
            ["applicable", "vatEnabled", "vatIncluded", "moment", "deliveryPlannedMoment", "shipmentAddress"]
        {
            same(name, &theirs[name], &copy[name]);
        }
        let (number, said) = (theirs["name"].as_str().unwrap(), theirs["description"].as_str().unwrap());
        // Documents of three types have no number in common.
        let mark = match sheet.kind {
            "retaildemand" => "R-",
            "purchaseorder" => "P-",
            _ => "",
        };
        match orders.prefix {
            Some(prefix) => {
                same("name", &format!("{prefix}{mark}{number}").into(), &copy["name"]);
                same("description", &said.into(), &copy["description"]);
            }
            None => same("description", &format!("№ {number}\n{said}").into(), &copy["description"]),
        }
        let id_in = |value: &Value| {
            value["meta"]["href"].as_str().map(|href| href.rsplit('/').next().unwrap().to_owned())
        };
        let organization = id_in(&copy["organization"]);
        same("organization", &world.head.organization.to_string().into(), &organization.into());
        let store = orders.store.then(|| world.head.store.to_string());
        same("store", &store.into(), &id_in(&copy["store"]).into());
        same("currency", &reader.currency(theirs).into(), &ours.currency(copy).into());
        let agent = id_in(&copy["agent"]).unwrap();
        if orders.stub {
            return same("agent", &world.head.stand_in.to_string().into(), &agent.into());
        }
        let agent = world.sim.entity(world.main, agent.parse().unwrap(), &[]).unwrap_or_default();
        // Who buys by a purchase order is the child.
        let who = if sheet.kind == "purchaseorder" { &theirs["organization"] } else { &theirs["agent"] };
        let who = world.sim.entity(child.account, id_in(who).unwrap().parse().unwrap(), &[]).unwrap();
        let known_by = ["inn", "phone", "name"].into_iter().find(|name| who[*name].is_string()).unwrap();
        same(&format!("agent's {known_by} (order {n})"), &who[known_by], &agent[known_by]);
    }

    pub(super) fn states(&mut self, theirs: &Value, copy: &Value) {
        let Self { world, sheet, .. } = *self;
        let child = &world.children[sheet.child];
        let orders = child.profile.orders;
        let back = orders.back && sheet.kind == "customerorder";
        let child_now = lines::state(world, child.account, sheet.kind, theirs);
        let main_now = lines::state(world, world.main, "customerorder", copy);
        let last = *sheet.states.last().unwrap();
        let brought =
            |states: &[&'static str]| states.iter().filter_map(|one| orders.in_main(one)).collect::<Vec<_>>();
        let mut may: Vec<&str> = match orders.in_main(last) {
            Some(state) => vec![state],
            // It stays as it was, and whether that came over before the last change depends.
            None => brought(&sheet.states).into_iter().chain(["Новый"]).collect(),
        };
        if sheet.main_states.is_empty() {
            if child_now != last {
                self.say(format!("its state was {last} and is {child_now}"));
            }
        } else if back {
            let followed: Vec<&str> =
                sheet.main_states.iter().filter_map(|one| orders.in_child(one)).collect();
            if !sheet.states.contains(&child_now) && !followed.contains(&child_now) {
                self.say(format!("its state is {child_now}, which nobody set"));
            }
            let in_step =
                orders.in_main(child_now) == Some(main_now) || orders.in_child(main_now) == Some(child_now);
            let alone = orders.in_child(main_now).is_none() && sheet.main_states.contains(&main_now)
                || orders.in_main(child_now).is_none() && sheet.states.contains(&child_now);
            if !in_step && !alone {
                self.say(format!("states are not in step: {child_now} there and {main_now} here"));
            }
            may.extend(brought(&sheet.states));
            may.extend(&sheet.main_states);
        } else {
            may.extend(sheet.main_states.last());
        }
        if !may.contains(&main_now) {
            self.say(format!("main's state is {main_now} and not one of {may:?}"));
        }
    }
}
