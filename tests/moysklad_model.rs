//! Random edits on a main account and its children, while webhooks are lost, repeated and overtaken and requests fail:
//! afterwards every child holds what main says, in the child's own words, main holds every document of the children once,
//! and nothing goes on being written. Operators change settings meanwhile.
//!
//! What is edited, how the accounts are set and which children there are follows from a seed, which a failure prints:
//! `HOOKGATE_MODEL_SEED=17 scripts/test.sh --test blackbox moysklad_model` makes the same edits in the same order.
//! What befalls which request, and how far the sync is when an edit comes, depends on the machine's timing and may
//! differ from run to run. `HOOKGATE_MODEL_EDITS` and `HOOKGATE_MODEL_CHILDREN` make a run larger;
//! with `HOOKGATE_MODEL_CATALOG=1` only the catalogue is edited.

mod book;
mod calm;
mod compare;
mod converge;
mod draw;
mod edit;
mod expect;
mod papers;
mod profiles;
mod settings;
mod words;
mod world;
