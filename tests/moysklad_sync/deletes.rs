//! What main deletes goes into the archive of its children, many with one write.

use super::Franchise;
use crate::moysklad_reconcile::{kettle, names};
use crate::support::moysklad::{Fault, Weather};
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Mappings of this child whose entity is known to be in the archive.
async fn archived_mappings(franchise: &Franchise, child: Uuid) -> i64 {
    let mut conn = franchise.gateway.database.connect().await;
    let query = "SELECT count(*) AS rows FROM moysklad_mappings WHERE child_account = $1 AND written_hash = 'archived'";
    let count: Count =
        sql_query(query).bind::<diesel::sql_types::Uuid, _>(child).get_result(&mut conn).await.unwrap();
    count.rows
}

async fn filled(franchise: &Franchise, count: usize) -> Vec<Uuid> {
    let bodies: Vec<Value> = (0..count).map(kettle).collect();
    let ids = franchise.sim.person(franchise.main).create_many("product", &bodies).unwrap();
    franchise.settle().await;
    ids
}

fn puts(franchise: &Franchise, child: Uuid) -> usize {
    franchise.sim.writes(child).iter().filter(|write| write.method == Method::PUT).count()
}

#[tokio::test]
async fn fifty_deletes_at_once_are_two_writes_for_each_child() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let ids = filled(&franchise, 51).await;
    let before = children.map(|child| sim.writes(child).len());
    franchise.gathered(async || sim.person(*main).delete_many("product", &ids[..50]).unwrap()).await;
    franchise.settle().await;
    for (child, before) in children.iter().zip(before) {
        let written = sim.writes(*child).split_off(before);
        assert!(written.len() <= 2, "{} writes", written.len());
        for item in written.iter().flat_map(|write| write.body.as_array().unwrap()) {
            assert_eq!((item.as_object().unwrap().len(), &item["archived"]), (2, &json!(true)), "{item}");
        }
        assert_eq!(names(&sim.products(*child)), ["Kettle 50"]);
        assert_eq!(sim.products(*child).len(), 51, "archived, not deleted");
        assert_eq!(archived_mappings(&franchise, *child).await, 50);
        let log = franchise.gateway.admin_get(&format!("/api/v1/sync-log?account={child}&limit=200")).await;
        let archived: Vec<&Value> = log["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["operation"] == "archived")
            .collect();
        assert_eq!(archived.len(), 50);
        assert!(
            archived
                .iter()
                .all(|entry| entry["applied"] == json!(["archived"]) && entry["child_id"].is_string())
        );
        assert!(archived.iter().all(|entry| entry["calls"].as_f64().unwrap() < 0.2), "shared by all");
    }
    // Told once more, there is nothing to do.
    let before = children.map(|child| sim.writes(child).len());
    for (n, id) in ids[..3].iter().enumerate() {
        franchise.notify(*main, *id, "DELETE", &format!("00000000-0000-0000-0000-{n:012}")).await;
    }
    franchise.settle().await;
    assert_eq!(children.map(|child| sim.writes(child).len()), before);
}

#[tokio::test]
async fn single_deletes_are_no_failures_that_count_towards_a_ban() {
    // Two equal failures would stop all that main's token does.
    let franchise = Franchise::start_with(&[("MOYSKLAD_BAN_EQUAL_ERRORS", "4")]).await;
    let Franchise { sim, main, children, .. } = &franchise;
    for id in filled(&franchise, 4).await {
        sim.delete(*main, id);
        franchise.settle().await;
    }
    for child in children {
        assert!(names(&sim.products(*child)).is_empty());
        assert_eq!(archived_mappings(&franchise, *child).await, 4);
    }
    for account in [main, &children[0], &children[1]] {
        let failed: Vec<_> = sim.requests(*account).into_iter().filter(|one| one.status >= 400).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

#[tokio::test]
async fn what_the_child_has_deleted_too_is_forgotten_and_the_rest_archived() {
    for status in [400, 200] {
        let franchise = Franchise::start().await;
        let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
        sim.rules(*kazan, |rules| rules.partial_failure_status = status);
        let ids = filled(&franchise, 10).await;
        sim.weather(Weather { lose: 1.0, ..Weather::default() });
        sim.delete(*kazan, sim.id_by(*kazan, "product", "externalCode", "kettle-3"));
        sim.weather(Weather::default());
        franchise.gathered(async || sim.person(*main).delete_many("product", &ids).unwrap()).await;
        franchise.settle().await;
        assert_eq!((sim.products(*kazan).len(), sim.products(*omsk).len()), (9, 10));
        for child in [*kazan, *omsk] {
            assert!(names(&sim.products(child)).is_empty(), "{status}");
        }
        assert_eq!(archived_mappings(&franchise, *kazan).await, 9);
        assert_eq!(puts(&franchise, *kazan), 0, "the others were not written again one by one");
    }
}

#[tokio::test]
async fn an_array_that_is_refused_as_a_whole_is_written_one_by_one() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let ids = filled(&franchise, 4).await;
    sim.fault(*kazan, Method::POST, Fault::Status(413, 1044));
    franchise.gathered(async || sim.person(*main).delete_many("product", &ids).unwrap()).await;
    franchise.settle().await;
    assert!(names(&sim.products(*kazan)).is_empty());
    assert_eq!((puts(&franchise, *kazan), puts(&franchise, *omsk)), (4, 0));
    assert_eq!(archived_mappings(&franchise, *kazan).await, 4);
}

#[tokio::test]
async fn what_main_deleted_comes_out_of_the_archive_when_it_is_there_again() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let ids = filled(&franchise, 2).await;
    sim.person(*main).delete_many("product", &ids).unwrap();
    franchise.settle().await;
    franchise.create(kettle(1)).await;
    assert_eq!(
        names(&sim.products(*kazan)),
        ["Kettle 1"],
        "a new one of main with the old one's external code"
    );
}
