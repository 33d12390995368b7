//! regdeploy: a declarative provisioner that carries its own container registry.
//!
//! | layer | folders | may use |
//! |---|---|---|
//! | texts and data | `source`, `diagnostic`, `value`, `secrets`, `yaml`, `certificate`, `crypt` | each other |
//! | settings | `configuration` | texts and data |
//! | names to addresses | `resolve` | nothing |
//! | the target's half | `system`, `modules`, `agent` | texts and data, `wire` |
//! | between | `wire`, `connection` | `value`; connections know `wire` and nothing of plays |
//! | passwords and what they open | `vault` | texts and data |
//! | the language | `template`, `inventory`, `playbook` | texts and data, `vault` |
//! | the look before the run | `check` | the language, and the tables of `modules` |
//! | the run | `executor`, `actions`, `output` | all of the above |
//! | the registry | `registry` | texts and data only |
//! | the command line | `cli` | everything; nothing uses it |

pub mod actions;
pub mod agent;
pub mod certificate;
pub mod check;
pub mod cli;
pub mod configuration;
pub mod connection;
pub mod crypt;
pub mod diagnostic;
pub mod executor;
pub mod inventory;
pub mod modules;
pub mod output;
pub mod playbook;
pub mod registry;
pub mod resolve;
pub mod secrets;
pub mod source;
pub mod system;
pub mod template;
pub mod value;
pub mod vault;
pub mod wire;
pub mod yaml;
