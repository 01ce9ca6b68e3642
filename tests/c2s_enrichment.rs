//! From a C2S webhook to the message on the lead, once, whatever goes wrong in between.

use crate::support::c2s::{C2S_TOKEN, FORBIDDEN, Fault, Simulator, WEBHOOK_SECRET, WORK_KEY};
use crate::support::gateway::Gateway;
use crate::support::wait;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use serde_json::{Value, json};
use std::time::Duration;

const NAME: &str = "Ana Beatriz Lima";
const PHONE: &str = "+55 (11) 98765-4321";
const NATIONAL: &str = "11987654321";
const EMAIL: &str = "ana.lima@exemplo.com.br";
const CPF: &str = "52998224725";
const CPF_WRITTEN: &str = "529.982.247-25";
const OTHER_CPF: &str = "11144477735";
const OTHER_CPF_WRITTEN: &str = "111.444.777-35";

/// A gateway beside a simulator that knows Ana by CPF, telephone and e-mail.
struct Scene {
    // Before the simulator: the gateway stops first.
    gateway: Gateway,
    simulator: Simulator,
}

impl Scene {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(settings: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start();
        simulator.knows(CPF, "ANA BEATRIZ LIMA");
        simulator.finds("phone", NATIONAL, &[(CPF, "ANA BEATRIZ LIMA")]);
        simulator.finds("mail", EMAIL, &[(CPF, "ANA BEATRIZ LIMA")]);
        let mut env = vec![
            ("WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("C2S_TOKEN", C2S_TOKEN),
            ("C2S_BASE_URL", &*simulator.url),
            ("C2S_REQUESTS_PER_MINUTE", "6000"),
            ("WORK_API", WORK_KEY),
            ("WORK_API_BASE_URL", &*simulator.url),
            ("WORK_API_INTERVAL_MS", "1"),
        ];
        env.retain(|pair| settings.iter().all(|own| own.0 != pair.0));
        env.extend(settings.iter().filter(|pair| !pair.1.is_empty()));
        let mut gateway = Gateway::start(&env).await;
        for personal in [
            NAME,
            "ANA BEATRIZ",
            PHONE,
            "98765-4321",
            NATIONAL,
            EMAIL,
            CPF,
            CPF_WRITTEN,
            OTHER_CPF,
            OTHER_CPF_WRITTEN,
            "outra.ana",
            "R DAS FLORES",
            "Engenheira",
        ] {
            gateway.canary(personal);
        }
        for forbidden in FORBIDDEN {
            gateway.canary(forbidden);
        }
        Self { gateway, simulator }
    }

    /// Puts a lead into C2S and gives the event that C2S would send of it.
    fn lead(&self, id: &str, customer: &Value, description: &str) -> Value {
        self.simulator.with(|state| {
            let at = state.tick();
            let attributes = json!({"customer": customer, "description": description, "updated_at": at,
                "lead_status": {"alias": "new", "name": "Novo"}});
            state.leads.insert(id.to_owned(), attributes.clone());
            json!({"id": id, "hook_action": "on_create_lead", "attributes": attributes})
        })
    }

    fn ana(&self, id: &str) -> Value {
        self.lead(id, &json!({"name": NAME, "phone": PHONE, "email": EMAIL}), "")
    }

    /// Posts a webhook and gives the number of new events.
    async fn post(&self, body: &Value) -> u64 {
        let request = self.gateway.http.post(self.gateway.url("/api/v1/webhooks/c2s")).json(body);
        let reply = request.header("X-Webhook-Token", WEBHOOK_SECRET).send().await.unwrap();
        let (status, text) = (reply.status(), reply.text().await.unwrap());
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["processed"].as_u64().unwrap()
    }

    /// Posts the event of one lead and waits for its end.
    async fn handled(&self, event: &Value) -> Value {
        assert_eq!(self.post(event).await, 1);
        self.ended(event).await
    }

    /// The stored event once it is completed or failed.
    async fn ended(&self, event: &Value) -> Value {
        self.gateway.event("c2s", &event_id(event), &["completed", "failed", "ignored"]).await
    }

    /// The only message of a lead.
    fn message(&self, lead: &str) -> String {
        let messages = self.simulator.messages(lead);
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages[0].clone()
    }
}

fn event_id(event: &Value) -> String {
    let at = event["attributes"]["updated_at"].as_str().unwrap();
    let at = chrono::DateTime::parse_from_rfc3339(at).unwrap().to_utc();
    let id = event["id"].as_str().unwrap();
    format!("{id}@{}", at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// All of the guard's table, beside what operators see of the events.
async fn guard_lines(gateway: &Gateway) -> Vec<String> {
    use diesel_async::RunQueryDsl as _;
    let mut conn = gateway.database.connect().await;
    let lines: Vec<Line> = diesel::sql_query(
        "SELECT row_to_json(e)::text || coalesce(w.outcome, '') || w.attempt_log::text AS line
         FROM c2s_enrichments e JOIN webhook_events w ON w.subject = e.lead_id WHERE e.state = 'posted'",
    )
    .load(&mut conn)
    .await
    .unwrap();
    lines.into_iter().map(|line| line.line).collect()
}

#[tokio::test]
async fn a_new_lead_gets_one_message_about_its_person() {
    let scene = Scene::start().await;
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(event["status"], "completed", "{event}");
    assert_eq!(event["outcome"], "enriched: message posted (CPF by phone and e-mail)");
    let message = scene.message("77");
    for part in [
        "Pessoa localizada pelo telefone e pelo e-mail.",
        "Nome: ANA BEATRIZ LIMA",
        "CPF: 529.982.247-25",
        "Nascimento: 01/02/1980",
        "Sexo: Feminino",
        "Profissão: Engenheira civil",
        "Renda estimada: R$ 12.500,50",
        "Poder aquisitivo: ALTO",
        "Score: 512 (risco: baixo)",
        "- outra.ana@exemplo.com.br",
        "- (11) 3322-4455 · TELEFONE RESIDENCIAL · VIVO",
        "- R DAS FLORES, 123, AP 4 - CENTRO - SANTOS/SP - CEP 11010-000",
        "- 11.222.333/0001-81 · SOCIO",
        "ref. HG-",
    ] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert!(!message.contains("PESSOAS DIFERENTES") && !message.contains("não confere"), "{message}");
    for forbidden in FORBIDDEN {
        assert!(!message.contains(forbidden), "{message}");
    }
    assert_eq!(
        scene.simulator.lookups(),
        [format!("phone {NATIONAL}"), format!("mail {EMAIL}"), format!("cpf {CPF}")]
    );
    // Nothing personal is kept: neither in the table of the guard, nor in what operators see of the work.
    let lines = guard_lines(&scene.gateway).await;
    assert_eq!(lines.len(), 1);
    for personal in ["ANA", "Ana", NATIONAL, "4321", EMAIL, CPF, "247-25", "FLORES"] {
        assert!(!lines[0].contains(personal), "{}", lines[0]);
    }
}

#[tokio::test]
async fn a_lead_of_which_only_the_id_came_is_asked_for() {
    let scene = Scene::start().await;
    let mut event = scene.ana("77");
    event["attributes"].as_object_mut().unwrap().retain(|name, _| name == "updated_at");
    let event = scene.handled(&event).await;
    assert_eq!(event["status"], "completed", "{event}");
    assert!(scene.message("77").contains("ANA BEATRIZ LIMA"));
    assert_eq!(scene.simulator.with(|state| state.c2s_calls.clone()), ["GET 77", "POST 77"]);
}

#[tokio::test]
async fn wrapped_leads_and_batches_are_enriched_each_once() {
    let scene = Scene::start().await;
    let leads: Vec<Value> = ["a1", "a2", "a3", "b1", "b2", "b3"].iter().map(|id| scene.ana(id)).collect();
    assert_eq!(scene.post(&json!({"data": leads[0]})).await, 1);
    assert_eq!(scene.post(&json!({"lead": leads[1]})).await, 1);
    let wrapped =
        json!({"hook_action": "on_create_lead", "data": leads[2], "timestamp": "2026-11-20T08:00:00Z"});
    assert_eq!(scene.post(&wrapped).await, 1);
    assert_eq!(scene.post(&json!([leads[3], leads[4], leads[5]])).await, 3);
    for lead in &leads {
        let event = scene.ended(lead).await;
        assert_eq!(event["status"], "completed", "{event}");
        scene.message(lead["id"].as_str().unwrap());
    }
}

#[tokio::test]
async fn the_echo_of_the_own_message_ends_there() {
    let scene = Scene::start().await;
    let hook = scene.gateway.url(&format!("/api/v1/webhooks/c2s?token={WEBHOOK_SECRET}"));
    scene.simulator.with(|state| state.echo_to = Some(hook));
    scene.handled(&scene.ana("77")).await;
    let echo = wait::until("the echo", Duration::from_secs(5), || async {
        scene.simulator.with(|state| state.echoes.first().cloned())
    })
    .await;
    let echo = scene.gateway.event("c2s", &echo, &["completed", "failed"]).await;
    assert_eq!(echo["outcome"], "already enriched for this contact", "{echo}");
    scene.message("77");
    assert_eq!(scene.simulator.with(|state| state.echoes.len()), 1);
}

#[tokio::test]
async fn a_changed_contact_is_enriched_again_and_an_unchanged_one_is_not() {
    let scene = Scene::start().await;
    scene.handled(&scene.ana("77")).await;

    let written_otherwise =
        json!({"name": "ANA  BEATRIZ LIMA", "phone": "11 98765 4321", "email": EMAIL.to_uppercase()});
    let same = scene.handled(&scene.lead("77", &written_otherwise, "fala com o corretor")).await;
    assert_eq!(same["outcome"], "already enriched for this contact");
    assert_eq!(scene.simulator.messages("77").len(), 1);

    let new_email = json!({"name": NAME, "phone": PHONE, "email": "ana.outra@exemplo.com.br"});
    let changed = scene.handled(&scene.lead("77", &new_email, "")).await;
    assert_eq!(changed["outcome"], "enriched: message posted (CPF by phone)");
    let messages = scene.simulator.messages("77");
    assert_eq!(messages.len(), 2);
    assert_ne!(messages[0].lines().next(), messages[1].lines().next(), "each has a marker of its own");

    let back = scene.handled(&scene.ana("77")).await;
    assert_eq!(back["outcome"], "already enriched for this contact");
    assert_eq!(scene.simulator.messages("77").len(), 2);
}

#[tokio::test]
async fn a_message_whose_reply_was_lost_is_not_posted_again() {
    let scene = Scene::start().await;
    scene.simulator.with(|state| state.message_faults.push_back(Fault::LoseReply));
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(event["outcome"], "enriched: the message of an interrupted attempt had arrived", "{event}");
    assert_eq!(event["attempts"], 2);
    scene.message("77");
    assert_eq!(scene.simulator.with(|state| state.c2s_calls.clone()), ["POST 77", "GET 77"]);
}

#[tokio::test]
async fn a_gateway_killed_while_posting_does_not_post_again() {
    let mut scene = Scene::start().await;
    scene.simulator.with(|state| state.message_faults.push_back(Fault::Hang));
    let event = scene.ana("77");
    assert_eq!(scene.post(&event).await, 1);
    wait::until("the message", Duration::from_secs(10), || async {
        (!scene.simulator.messages("77").is_empty()).then_some(())
    })
    .await;
    scene.gateway.kill();
    scene.gateway.restart();
    let event = scene.ended(&event).await;
    assert_eq!(event["outcome"], "enriched: the message of an interrupted attempt had arrived", "{event}");
    scene.message("77");
}

#[tokio::test]
async fn a_gateway_killed_before_posting_posts_after_its_restart() {
    let mut scene = Scene::start().await;
    scene.simulator.with(|state| state.work_faults.push_back(Fault::Hang));
    let event = scene.ana("77");
    assert_eq!(scene.post(&event).await, 1);
    wait::until("the lookup", Duration::from_secs(10), || async {
        (!scene.simulator.lookups().is_empty()).then_some(())
    })
    .await;
    scene.gateway.kill();
    scene.gateway.restart();
    let event = scene.ended(&event).await;
    assert_eq!(event["status"], "completed", "{event}");
    scene.message("77");
}

#[tokio::test]
async fn without_its_tokens_nothing_is_looked_up_and_the_reason_is_shown() {
    for (name, reason) in [
        ("WORK_API", "not_enriched: WORK_API is not set"),
        ("C2S_TOKEN", "not_enriched: C2S_TOKEN is not set"),
    ] {
        let scene = Scene::start_with(&[(name, "")]).await;
        let event = scene.handled(&scene.ana("77")).await;
        assert_eq!((event["status"].as_str(), event["outcome"].as_str()), (Some("completed"), Some(reason)));
        assert!(scene.simulator.lookups().is_empty() && scene.simulator.messages("77").is_empty());
    }
}

#[tokio::test]
async fn a_closed_lead_is_stored_and_not_enriched() {
    let scene = Scene::start().await;
    let mut event = scene.ana("77");
    event["hook_action"] = json!("on_close_lead");
    let event = scene.handled(&event).await;
    assert_eq!(event["status"], "ignored", "{event}");
    assert_eq!(event["attempts"], 0);
    let closed = scene.ana("78");
    let mut closed = json!({"data": {"id": "78", "attributes": closed["attributes"]}});
    closed["data"]["attributes"]["archive_details"] = json!({"archived": true});
    assert_eq!(scene.post(&closed).await, 1);
    assert_eq!(scene.ended(&closed["data"]).await["status"], "ignored");
    assert!(scene.simulator.lookups().is_empty());
}

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
        state.people.insert(OTHER_CPF.to_owned(), crate::support::c2s::person(CPF, "SOMEBODY ELSE"));
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

#[tokio::test]
async fn refusals_and_failures_of_both_apis_are_overcome() {
    let scene = Scene::start().await;
    scene.simulator.with(|state| {
        state.work_faults.extend([
            Fault::Status(503, None),
            Fault::Status(429, Some(1)),
            Fault::LoseReply,
            Fault::Body(json!({"status": 500, "reason": "interno"})),
        ]);
        state.message_faults.extend([Fault::Status(502, None), Fault::Status(429, Some(1))]);
        state.lead_faults.push_back(Fault::Status(500, None));
    });
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(event["status"], "completed", "{event}");
    scene.message("77");
}

#[tokio::test]
async fn a_refused_key_is_tried_again_and_shown_to_the_operator() {
    let scene = Scene::start().await;
    let refusal = Fault::Body(json!({"status": 403, "reason": format!("Token {WORK_KEY} vencido, {NAME}")}));
    scene.simulator.with(|state| state.work_faults.extend([refusal, Fault::Body(json!({"erro": "limite"}))]));
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(
        (event["status"].as_str(), event["attempts"].as_i64()),
        (Some("completed"), Some(3)),
        "{event}"
    );
    scene.message("77");
    let errors: Vec<&str> =
        event["attempt_log"].as_array().unwrap().iter().filter_map(|a| a["error"].as_str()).collect();
    assert!(errors[0].contains("WORK_API"), "{errors:?}");
    assert!(!errors.iter().any(|error| error.contains(WORK_KEY) || error.contains(NAME)), "{errors:?}");
}

#[tokio::test]
async fn a_refused_token_and_a_lead_that_is_gone_end_as_failed() {
    let scene =
        Scene::start_with(&[("C2S_TOKEN", "revoked-canary-55aa"), ("WORKER_BACKOFF_SECONDS", "0.05")]).await;
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!((event["status"].as_str(), event["attempts"].as_i64()), (Some("failed"), Some(5)), "{event}");
    assert!(event["error"].as_str().unwrap().contains("C2S_TOKEN"), "{event}");
    assert_eq!(scene.simulator.lookups().len(), 3, "the attempts after the first need no lookup");

    let scene = Scene::start().await;
    let mut event = scene.ana("77");
    event["attributes"].as_object_mut().unwrap().remove("customer");
    scene.simulator.with(|state| state.leads.clear());
    let event = scene.handled(&event).await;
    assert_eq!((event["status"].as_str(), event["attempts"].as_i64()), (Some("failed"), Some(1)), "{event}");
}

#[tokio::test]
async fn the_paces_of_both_apis_are_kept() {
    let settings = [("WORK_API_INTERVAL_MS", "150"), ("C2S_REQUESTS_PER_MINUTE", "60")];
    let scene = Scene::start_with(&settings).await;
    scene.simulator.with(|state| state.work_interval = Duration::from_millis(140));
    let leads: Vec<Value> = (0..4)
        .map(|n| {
            scene.lead(&n.to_string(), &json!({"name": NAME, "phone": format!("(11) 98765-431{n}")}), "")
        })
        .collect();
    for n in 0..4 {
        scene.simulator.finds("phone", &format!("1198765431{n}"), &[(CPF, "ANA BEATRIZ LIMA")]);
    }
    assert_eq!(scene.post(&json!(leads)).await, 4);
    for lead in &leads {
        assert_eq!(scene.ended(lead).await["status"], "completed");
    }
    // A lookup before its time is a violation, at which the simulator fails when dropped.
    assert_eq!(scene.simulator.lookups().iter().filter(|lookup| lookup.starts_with("phone")).count(), 4);
}

#[tokio::test]
async fn a_burst_of_leads_is_enriched_each_once() {
    let scene = Scene::start_with(&[("WORKER_CONCURRENCY", "8"), ("C2S_REQUESTS_PER_MINUTE", "60000")]).await;
    let leads: Vec<Value> = (0..30).map(|n| scene.ana(&format!("lead{n}"))).collect();
    assert_eq!(scene.post(&json!(leads)).await, 30);
    for lead in &leads {
        assert_eq!(scene.ended(lead).await["status"], "completed");
        scene.message(lead["id"].as_str().unwrap());
    }
    assert_eq!(guard_lines(&scene.gateway).await.len(), 30);
}
