//! Who a lead is, and when nobody can tell.

use super::{CPF, CPF_WRITTEN, EMAIL, NAME, NATIONAL, OTHER_CPF, OTHER_CPF_WRITTEN, PHONE, Scene};
use crate::support::c2s::person;
use serde_json::json;

#[tokio::test]
async fn a_cpf_in_the_text_needs_no_search() {
    let scene = Scene::start().await;
    let customer = json!({"name": NAME, "phone": PHONE, "email": EMAIL});
    let event =
        scene.handled(&scene.lead("77", &customer, "Quer visitar, cpf 529.982.247-25 ***.111.222-**")).await;
    assert_eq!(event["outcome"], "enriched: message posted (CPF by text)");
    assert_eq!(scene.simulator.lookups(), [format!("cpf {CPF}")]);
    assert!(scene.message("77").contains("pelo CPF informado no lead"));
}

#[tokio::test]
async fn telephone_e_mail_and_name_are_tried_in_this_order() {
    let scene = Scene::start().await;
    let unknown = "(21) 98888-7777";
    let by_email = json!({"name": NAME, "phone": unknown, "email": EMAIL});
    let event = scene.handled(&scene.lead("1", &by_email, "")).await;
    assert_eq!(event["outcome"], "enriched: message posted (CPF by e-mail)");

    scene.simulator.finds("name", NAME, &[(CPF, "ANA BEATRIZ LIMA"), (OTHER_CPF, "PEDRO ALVES DA COSTA")]);
    let by_name = json!({"name": NAME, "phone": unknown, "email": "nenhuma@exemplo.com.br"});
    let event = scene.handled(&scene.lead("2", &by_name, "")).await;
    assert_eq!(event["outcome"], "enriched: message posted (CPF by name)");
    assert!(scene.message("2").contains("Pessoa localizada pelo nome."));
    assert_eq!(
        scene.simulator.lookups(),
        [
            "phone 21988887777",
            &format!("mail {EMAIL}"),
            &format!("cpf {CPF}"),
            "mail nenhuma@exemplo.com.br",
            &format!("name {NAME}"),
        ]
    );
}

#[tokio::test]
async fn telephone_and_e_mail_of_two_people_give_one_message_about_both() {
    let scene = Scene::start().await;
    scene.simulator.finds("mail", EMAIL, &[(OTHER_CPF, "PEDRO ALVES")]);
    scene.simulator.knows(OTHER_CPF, "PEDRO ALVES");
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(event["outcome"], "enriched: message posted (CPF by phone and e-mail)");
    let message = scene.message("77");
    assert!(message.contains("PESSOAS DIFERENTES"), "{message}");
    assert!(message.contains(CPF_WRITTEN) && message.contains(OTHER_CPF_WRITTEN), "{message}");
    assert_eq!(message.matches("não confere").count(), 1, "only of Pedro: {message}");
}

#[tokio::test]
async fn who_cannot_be_told_apart_or_found_gets_no_message() {
    let scene = Scene::start().await;
    let nobody = |name: &str| json!({"name": name, "phone": "98765-4321", "email": "111111@exemplo.com"});
    scene.simulator.finds("name", NAME, &[(CPF, "ANA BEATRIZ LIMA"), (OTHER_CPF, "ANA BEATRIZ LIMA")]);
    let ambiguous = scene.handled(&scene.lead("1", &nobody(NAME), "")).await;
    assert_eq!(ambiguous["outcome"], "not_enriched: no CPF found");
    assert_eq!(
        scene.simulator.lookups(),
        [format!("name {NAME}")],
        "neither telephone nor e-mail is believable"
    );

    let many: Vec<_> = std::iter::repeat_n((CPF, "MARIA DE SOUZA"), 21).collect();
    scene.simulator.finds("name", "Maria de Souza", &many);
    let common = scene.handled(&scene.lead("2", &nobody("Maria de Souza"), "")).await;
    assert_eq!(common["outcome"], "not_enriched: no CPF found");

    let short = scene.handled(&scene.lead("3", &nobody("Ana"), "")).await;
    assert_eq!(short["outcome"], "not_enriched: no CPF found");

    let blank = scene.handled(&scene.lead("4", &json!({"name": "", "phone": "", "email": null}), "oi")).await;
    assert_eq!(blank["outcome"], "not_enriched: no contact data");

    scene.simulator.with(|state| state.people.clear());
    let unissued = scene.handled(&scene.lead("5", &nobody(NAME), "cpf 123.456.789-09")).await;
    assert_eq!(unissued["outcome"], "not_enriched: no person found for the CPF");
    for lead in ["1", "2", "3", "4", "5"] {
        assert!(scene.simulator.messages(lead).is_empty());
    }
}

#[tokio::test]
async fn a_wrong_cpf_of_the_upstream_is_refused() {
    let scene = Scene::start().await;
    let hits =
        [("52998224724", "WRONG DIGITS"), ("11222333000181", "LTDA"), ("00052998224725", "ANA BEATRIZ LIMA")];
    scene.simulator.finds("phone", NATIONAL, &hits);
    scene.simulator.finds("mail", EMAIL, &hits[..2]);
    let event = scene.handled(&scene.ana("1")).await;
    assert_eq!(event["outcome"], "enriched: message posted (CPF by phone)");

    let other = "(21) 98888-7777";
    scene.simulator.finds("phone", "21988887777", &[(OTHER_CPF, "PEDRO ALVES")]);
    scene.simulator.with(|state| {
        state.people.insert(OTHER_CPF.to_owned(), person(CPF, "SOMEBODY ELSE"));
    });
    let event = scene.handled(&scene.lead("2", &json!({"name": "Pedro", "phone": other}), "")).await;
    assert_eq!(event["outcome"], "not_enriched: no person found for the CPF");
    assert!(scene.simulator.messages("2").is_empty());
}

#[tokio::test]
async fn a_person_with_another_name_is_marked_as_doubtful() {
    let scene = Scene::start().await;
    scene.handled(&scene.lead("77", &json!({"name": "Pedro Alves", "phone": PHONE}), "")).await;
    assert!(scene.message("77").contains("o nome encontrado não confere com o nome do lead"));
}
