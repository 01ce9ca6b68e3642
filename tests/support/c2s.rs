//! C2S and the Work API in one server: strict about tokens, forms and rates, with faults on demand.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const C2S_TOKEN: &str = "c2s-api-canary-71d0";
pub const WORK_KEY: &str = "work-key-canary-93fa";
pub const WEBHOOK_SECRET: &str = "c2s-hook-canary-2b6e";

/// What stands in the reply about every person and must never leave the gateway.
pub const FORBIDDEN: [&str; 8] = [
    "PARDA",
    "MAE PROIBIDA",
    "700500000000001",
    "987.654.321-00",
    "VIZINHO PROIBIDO",
    "VACINA PROIBIDA",
    "17012345678",
    "BANCO PROIBIDO",
];

/// What happens to one call instead of the usual.
#[derive(Clone)]
pub enum Fault {
    /// This status, with `Retry-After` in seconds if given.
    Status(u16, Option<u32>),
    /// HTTP 200 with this body.
    Body(Value),
    /// The call is carried out and the connection closed without an answer.
    LoseReply,
    /// The call is carried out and never answered.
    Hang,
}

/// What the simulator was asked and what it holds.
#[derive(Default)]
pub struct State {
    /// Leads by id: their `attributes` without messages.
    pub leads: HashMap<String, Value>,
    /// Messages by lead.
    pub messages: HashMap<String, Vec<String>>,
    /// Lookups of the Work API: module and value, in their order.
    pub lookups: Vec<(String, String)>,
    /// Calls at C2S: `GET 77`, `POST 77`.
    pub c2s_calls: Vec<String>,
    /// Requests that no correct client makes.
    pub violations: Vec<String>,
    /// Rows that a lookup by (module, value) gives.
    pub hits: HashMap<(String, String), Value>,
    /// Replies about people by CPF.
    pub people: HashMap<String, Value>,
    pub lead_faults: VecDeque<Fault>,
    pub message_faults: VecDeque<Fault>,
    pub work_faults: VecDeque<Fault>,
    /// When the lookups came.
    pub lookup_times: Vec<Instant>,
    /// When the calls at C2S came.
    pub c2s_times: VecDeque<Instant>,
    /// How many calls C2S refused as too many.
    pub c2s_refused: usize,
    /// Calls a minute that C2S allows.
    pub c2s_per_minute: Option<usize>,
    /// Time that the Work API wants between two calls.
    pub work_interval: Duration,
    /// Where each new message raises `on_update_lead`.
    pub echo_to: Option<String>,
    /// Event ids of the echoes that were sent.
    pub echoes: Vec<String>,
    clock: i64,
}

/// A running simulator; it stops when dropped.
pub struct Simulator {
    /// Base URL of both APIs.
    pub url: String,
    state: Shared,
    server: ServerHandle,
}

type Shared = Arc<Mutex<State>>;

impl Simulator {
    pub fn start() -> Self {
        let state = Shared::default();
        let (sender, receiver) = std::sync::mpsc::channel();
        let data = Data::new(state.clone());
        // A thread of its own: actix wants a runtime of its own, and the test's may be blocked by a command.
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(data.clone())
                        .route("/integration/leads/{id}", web::get().to(lead))
                        .route("/integration/leads/{id}/create_message", web::post().to(create_message))
                        .route("/api", web::get().to(work))
                        .default_service(web::to(unknown))
                })
                .workers(1)
                .disable_signals()
                .shutdown_timeout(0)
                .bind("127.0.0.1:0")
                .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                sender.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, server) = receiver.recv().unwrap();
        Self { url: format!("http://{address}"), state, server }
    }

    /// Looks at or changes what it holds.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    /// The messages of a lead.
    pub fn messages(&self, lead: &str) -> Vec<String> {
        self.with(|state| state.messages.get(lead).cloned().unwrap_or_default())
    }

    /// The lookups made so far, as `module value`.
    pub fn lookups(&self) -> Vec<String> {
        self.with(|state| state.lookups.iter().map(|(module, value)| format!("{module} {value}")).collect())
    }

    /// Makes a lookup find these people: (CPF, name).
    pub fn finds(&self, module: &str, value: &str, people: &[(&str, &str)]) {
        let field = if module == "name" { "cpf" } else { "cpf_cnpj" };
        let rows = people.iter().map(|(cpf, name)| json!({field: cpf, "nome": name})).collect();
        self.with(|state| state.hits.insert((module.to_owned(), value.to_owned()), rows));
    }

    /// Makes a person known.
    pub fn knows(&self, cpf: &str, name: &str) {
        self.with(|state| state.people.insert(cpf.to_owned(), person(cpf, name)));
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.server.stop(false));
        if !std::thread::panicking() {
            assert_eq!(self.with(|state| std::mem::take(&mut state.violations)), Vec::<String>::new());
        }
    }
}

impl State {
    /// The next time at which a lead changes.
    pub fn tick(&mut self) -> String {
        self.clock += 1;
        let start = chrono::DateTime::parse_from_rfc3339("2026-11-20T08:00:00.000-03:00").unwrap();
        (start + chrono::Duration::seconds(self.clock)).to_rfc3339_opts(chrono::SecondsFormat::Millis, false)
    }

    fn lead(&self, id: &str) -> Option<Value> {
        let mut attributes = self.leads.get(id)?.clone();
        let messages = self.messages.get(id).cloned().unwrap_or_default();
        attributes["messages"] =
            messages.iter().enumerate().map(|(n, body)| json!({"id": n, "body": body})).collect();
        Some(json!({"data": {"type": "lead", "id": id, "internal_id": 41, "attributes": attributes}}))
    }
}

fn error(status: u16, text: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(json!({"error": text}))
}

/// Closes the connection without an answer: the body breaks before the head is flushed.
fn lose_connection() -> HttpResponse {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
    HttpResponse::Ok().streaming(broken)
}

async fn answer(fault: Option<Fault>, usual: HttpResponse) -> HttpResponse {
    match fault {
        None => usual,
        Some(Fault::Status(status, wait)) => {
            let mut reply = error(status, "fault");
            if let Some(wait) = wait {
                reply.headers_mut().insert(RETRY_AFTER, wait.into());
            }
            reply
        }
        Some(Fault::Body(body)) => HttpResponse::Ok().json(body),
        Some(Fault::LoseReply) => lose_connection(),
        Some(Fault::Hang) => std::future::pending().await,
    }
}

/// The refusal of a call at C2S with a wrong token or before its time.
fn refusal(request: &HttpRequest, state: &mut State) -> Option<HttpResponse> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(&format!("Bearer {C2S_TOKEN}"))
        || header("authentication") != Some(C2S_TOKEN)
    {
        return Some(error(403, "not_authorized"));
    }
    let now = Instant::now();
    while state.c2s_times.front().is_some_and(|at| now - *at > Duration::from_secs(60)) {
        state.c2s_times.pop_front();
    }
    if state.c2s_per_minute.is_some_and(|limit| state.c2s_times.len() >= limit) {
        state.c2s_refused += 1;
        return Some(error(429, "rate limit exceeded"));
    }
    state.c2s_times.push_back(now);
    None
}

async fn lead(request: HttpRequest, id: Path<String>, state: Data<Shared>) -> HttpResponse {
    let (fault, usual) = {
        let mut state = state.lock().unwrap();
        if let Some(refusal) = refusal(&request, &mut state) {
            return refusal;
        }
        state.c2s_calls.push(format!("GET {id}"));
        let usual = match state.lead(&id) {
            Some(lead) => HttpResponse::Ok().json(lead),
            None => error(404, "not_found"),
        };
        (state.lead_faults.pop_front(), usual)
    };
    answer(fault, usual).await
}

async fn create_message(
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
    state: Data<Shared>,
) -> HttpResponse {
    let (fault, usual) = {
        let mut state = state.lock().unwrap();
        if let Some(refusal) = refusal(&request, &mut state) {
            return refusal;
        }
        state.c2s_calls.push(format!("POST {id}"));
        let fault = state.message_faults.pop_front();
        if matches!(fault, Some(Fault::Status(..) | Fault::Body(_))) {
            (fault, HttpResponse::Ok().finish())
        } else {
            let usual = add_message(&request, &id, &body, &mut state);
            (fault, usual)
        }
    };
    answer(fault, usual).await
}

fn add_message(request: &HttpRequest, id: &str, body: &Bytes, state: &mut State) -> HttpResponse {
    let json_type = request.headers().get("content-type").is_some_and(|kind| kind == "application/json");
    let fields: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = fields["body"].as_str().unwrap_or_default();
    if !json_type || text.is_empty() || text.chars().count() > 5000 || fields.as_object().unwrap().len() != 1
    {
        state.violations.push("a message that C2S does not understand".to_owned());
        return error(422, "invalid message");
    }
    if !state.leads.contains_key(id) {
        return error(404, "not_found");
    }
    state.messages.entry(id.to_owned()).or_default().push(text.to_owned());
    let at = state.tick();
    state.leads.get_mut(id).unwrap()["updated_at"] = json!(at);
    if let Some(hook) = state.echo_to.clone() {
        let mut event = state.lead(id).unwrap()["data"].take();
        event["hook_action"] = json!("on_update_lead");
        let at = chrono::DateTime::parse_from_rfc3339(&at).unwrap().to_utc();
        state.echoes.push(format!("{id}@{}", at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)));
        actix_web::rt::spawn(async move {
            let reply = reqwest::Client::new().post(hook).json(&event).send().await.unwrap();
            assert_eq!(reply.status(), 200);
        });
    }
    HttpResponse::Created().json(json!({"success": true}))
}

async fn work(query: Query<HashMap<String, String>>, state: Data<Shared>) -> HttpResponse {
    let (fault, usual) = {
        let mut state = state.lock().unwrap();
        let part = |name: &str| query.get(name).cloned().unwrap_or_default();
        let (module, value) = (part("modulo"), part("consulta"));
        if part("token") != WORK_KEY {
            return HttpResponse::Ok().json(json!({"status": 403, "reason": "Token invalido"}));
        }
        if value.is_empty() || !["cpf", "phone", "mail", "name"].contains(&&*module) {
            state.violations.push(format!("a lookup without value or of module {module:?}"));
            return HttpResponse::Ok().json(json!({"erro": "parametros"}));
        }
        if ["cpf", "phone"].contains(&&*module) && !value.bytes().all(|b| b.is_ascii_digit()) {
            state.violations.push(format!("a lookup by {module} with more than digits"));
        }
        let now = Instant::now();
        if state.lookup_times.last().is_some_and(|last| now - *last < state.work_interval) {
            return error(429, "too fast");
        }
        state.lookup_times.push(now);
        let usual = match &*module {
            "cpf" => state.people.get(&value).map(|person| HttpResponse::Ok().json(person)),
            "name" => {
                Some(HttpResponse::Ok().json(json!({"status": 200, "data": rows(&state, &module, &value)})))
            }
            _ => Some(HttpResponse::Ok().json(json!({"status": 200, "msg": rows(&state, &module, &value)}))),
        };
        state.lookups.push((module, value));
        (state.work_faults.pop_front(), usual.unwrap_or_else(|| error(404, "nada encontrado")))
    };
    answer(fault, usual).await
}

fn rows(state: &State, module: &str, value: &str) -> Value {
    state.hits.get(&(module.to_owned(), value.to_owned())).cloned().unwrap_or_else(|| json!([]))
}

async fn unknown(request: HttpRequest, state: Data<Shared>) -> HttpResponse {
    state.lock().unwrap().violations.push(format!("{} {}", request.method(), request.path()));
    error(404, "no such route")
}

/// A reply about a person, with all that must not be read beside what may.
pub fn person(cpf: &str, name: &str) -> Value {
    json!({
        "status": 200,
        "DadosBasicos": {
            "nome": name, "cpf": cpf, "dataNascimento": "01/02/1980", "sexo": "F - FEMININO", "cor": "PARDA",
            "nomeMae": "MAE PROIBIDA", "cns": "700500000000001",
            "conjuge": {"nome": "CONJUGE", "cpf": "987.654.321-00"},
        },
        "DadosEconomicos": {
            "renda": "12500,50",
            "poderAquisitivo": {"poderAquisitivoDescricao": "ALTO", "faixaPoderAquisitivo": "De R$ 5.000 a R$ 9.000"},
            "score": {"scoreCSB": "1", "scoreCSBA": "512", "scoreCSBAFaixaRisco": "BAIXO"},
        },
        "profissao": {"cbo": "2142", "cboDescricao": "Engenheira civil", "pis": "17012345678"},
        "emails": [{"email": "outra.ana@exemplo.com.br", "prioridade": "ALTA", "qualidade": "BOM"}],
        "telefones": [{"telefone": "1133224455", "tipo": "TELEFONE RESIDENCIAL", "operadora": "VIVO", "whatsapp": null}],
        "enderecos": [{"logradouro": "R DAS FLORES", "logradouroNumero": "123", "complemento": "AP 4",
            "bairro": "CENTRO", "cidade": "SANTOS", "uf": "SP", "cep": "11010000"}],
        "empresas": [{"cnpj": "11222333000181", "relacao": "SOCIO"}],
        "parentes": [{"nomeParente": "PARENTE", "cpfParente": "987.654.321-00", "grauParentesco": "MAE"}],
        "vizinhos": [{"nome": "VIZINHO PROIBIDO", "cpf": "987.654.321-00"}],
        "vacinas": [{"vacina": "VACINA PROIBIDA"}],
        "restituicao": {"banco": "BANCO PROIBIDO"},
    })
}
