//! From a C2S webhook to the message on the lead, once, whatever goes wrong in between.

mod once;
mod search;
mod trouble;

use crate::support::c2s::{C2S_TOKEN, FORBIDDEN, Simulator, WEBHOOK_SECRET, WORK_KEY};
use crate::support::gateway::Gateway;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use serde_json::{Value, json};

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
