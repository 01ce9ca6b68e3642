//! What stands below a folder of main that is moved or gets another tax follows it.

use super::{Franchise, hook_all, reference, set_catalog};
use crate::moysklad_reconcile::{kettle, names};
use serde_json::json;

#[tokio::test]
async fn a_folder_that_is_moved_below_a_wanted_one_brings_its_goods() {
    let franchise = Franchise::start().await;
    hook_all(&franchise);
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let folder =
        |name: &str| sim.create_in(*main, "productfolder", json!({"name": name, "externalCode": name}));
    let (wanted, other) = (folder("Wanted"), folder("Other"));
    let within = |id| reference(sim, "productfolder", id);
    let inner = sim.create_in(
        *main,
        "productfolder",
        json!({"name": "Inner", "externalCode": "Inner", "productFolder": within(other)}),
    );
    let filters = json!([{"folderIn": [wanted]}]);
    set_catalog(&franchise, *kazan, json!({"filters": filters})).await;
    set_catalog(&franchise, *omsk, json!({"filters": filters, "create_folders": false})).await;
    for (n, place) in [inner, other].into_iter().enumerate() {
        let mut body = kettle(n);
        body["productFolder"] = within(place);
        sim.create(*main, body);
    }
    franchise.settle().await;
    for child in [kazan, omsk] {
        assert!(sim.products(*child).is_empty());
    }
    sim.edit_in(*main, "productfolder", inner, json!({"productFolder": within(wanted)}));
    franchise.settle().await;
    for child in [kazan, omsk] {
        assert_eq!(names(&sim.products(*child)), ["Kettle 0"]);
    }
}

#[tokio::test]
async fn where_folders_do_not_cross_the_tax_of_mains_folder_follows_it() {
    let franchise = Franchise::start().await;
    hook_all(&franchise);
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    sim.rules(*main, |rules| rules.shows_effective_vat = true);
    set_catalog(&franchise, *kazan, json!({"create_folders": false})).await;
    let tax = |rate: i64| json!({"vat": rate, "vatEnabled": true, "useParentVat": false});
    let mut body = tax(20);
    body["name"] = "Taxed".into();
    let folder = sim.create_in(*main, "productfolder", body);
    let mut body = kettle(1);
    body["productFolder"] = reference(sim, "productfolder", folder);
    body["useParentVat"] = true.into();
    sim.create(*main, body);
    franchise.settle().await;
    let vat = || sim.by_external_code(*kazan, "kettle-1")["vat"].clone();
    assert_eq!(vat(), json!(20));
    let lists = || sim.requests(*main).iter().filter(|one| one.query.contains("pathName")).count();
    let before = lists();
    sim.edit_in(*main, "productfolder", folder, json!({"description": "No matter"}));
    franchise.settle().await;
    assert_eq!(lists(), before, "nothing that its goods depend on");
    sim.edit_in(*main, "productfolder", folder, tax(10));
    franchise.settle().await;
    assert_eq!(vat(), json!(10));
    assert!((1..=3).contains(&(lists() - before)), "{} lists", lists() - before);
}
