//! What stands in `manifests/` agrees with the binary and the image: commands, keys, paths, ports, signals, modes.

use std::collections::BTreeSet;
use std::path::Path;
use yaml_rust2::{Yaml, YamlLoader};

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
pub(super) fn yaml(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether this is a variable of the configuration.
fn is_variable(name: &str) -> bool {
    countersign::config::reference().filter_map(|key| Some((key.variable()?, key.spellings().collect::<Vec<_>>()))).any(
        |(variable, spellings)| {
            let section = variable.rsplit_once("__").unwrap().0;
            spellings.iter().any(|spelling| format!("{section}__{}", spelling.to_uppercase()) == name)
        },
    )
}

/// Whether the binary takes this command line, as far as its parser is concerned.
fn is_understood(arguments: &[&str]) {
    let help = [arguments, &["--help"]].concat();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_countersign")).args(help).env_clear().output().unwrap();
    assert!(output.status.success(), "countersign {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}

fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_unit_of_systemd_runs_the_binary_with_keys_that_exist() {
    let unit = text("manifests/systemd/countersign.service");
    for line in unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(line.starts_with('[') || line.contains('='), "{line}");
    }
    for key in ["ExecStart", "ExecStartPre"] {
        let [command] = values(&unit, key)[..] else { panic!("{key}") };
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "/usr/local/bin/countersign");
        is_understood(&words[1..]);
    }
    let state = format!("/var/lib/{}", values(&unit, "StateDirectory")[0]);
    assert_eq!(values(&unit, "WorkingDirectory"), [state.as_str()]);
    for assignment in values(&unit, "Environment") {
        let (name, value) = assignment.split_once('=').unwrap();
        assert!(is_variable(name), "{name} is no key of the configuration");
        // ProtectSystem=strict: it may write nowhere else.
        assert!(value.trim_start_matches("sqlite://").starts_with(&state), "{assignment}");
    }
    assert_eq!((values(&unit, "KillSignal"), values(&unit, "ProtectSystem")), (vec!["SIGTERM"], vec!["strict"]));
    assert!(values(&unit, "ExecReload")[0].contains("-HUP $MAINPID"));
    assert_eq!((values(&unit, "StateDirectoryMode"), values(&unit, "UMask")), (vec!["0700"], vec!["0077"]));
}

#[test]
fn the_manifests_of_kubernetes_fit_the_image() {
    let dockerfile = text("Dockerfile");
    let documents = yaml("manifests/kubernetes/countersign.yaml");
    let kinds: Vec<&str> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Service", "Deployment", "PodDisruptionBudget"]);
    let (service, deployment) = (&documents[0], &documents[1]);
    let template = &deployment["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    for selector in
        [&service["spec"]["selector"], &deployment["spec"]["selector"]["matchLabels"], &documents[2]["spec"]["selector"]["matchLabels"]]
    {
        assert_eq!(selector, labels);
    }
    assert_eq!(deployment["spec"]["replicas"].as_i64(), Some(2));
    let pod = &template["spec"];
    let user =
        format!("{0}:{1}", pod["securityContext"]["runAsUser"].as_i64().unwrap(), pod["securityContext"]["runAsGroup"].as_i64().unwrap());
    assert!(dockerfile.contains(&format!("USER {user}")) && pod["securityContext"]["runAsNonRoot"].as_bool() == Some(true));

    let server = &pod["containers"][0];
    let command: Vec<&str> = server["command"].as_vec().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(command[0], "countersign");
    is_understood(&command[1..]);
    let exposed = dockerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let ports: Vec<String> =
        server["ports"].as_vec().unwrap().iter().map(|port| port["containerPort"].as_i64().unwrap().to_string()).collect();
    assert_eq!(ports, exposed.split(' ').collect::<Vec<_>>());
    assert_eq!(service["spec"]["ports"][0]["targetPort"].as_str(), server["ports"][0]["name"].as_str());
    assert_eq!(template["metadata"]["annotations"]["prometheus.io/port"].as_str(), Some(ports[1].as_str()));
    assert_eq!(server["livenessProbe"]["httpGet"]["path"].as_str(), Some("/healthz"));
    assert_eq!(server["readinessProbe"]["httpGet"]["path"].as_str(), Some("/readyz"));

    // Everything that is mounted is a volume, every file that a key names lies in a mount, and every key exists.
    let volumes: BTreeSet<&str> = pod["volumes"].as_vec().unwrap().iter().map(|volume| volume["name"].as_str().unwrap()).collect();
    let mut mounts = Vec::new();
    for container in [server, &pod["initContainers"][0]] {
        for mount in container["volumeMounts"].as_vec().unwrap() {
            assert!(volumes.contains(mount["name"].as_str().unwrap()), "{mount:?}");
            mounts.push(mount["mountPath"].as_str().unwrap());
        }
        let security = &container["securityContext"];
        assert_eq!(
            (security["readOnlyRootFilesystem"].as_bool(), security["allowPrivilegeEscalation"].as_bool()),
            (Some(true), Some(false))
        );
    }
    let copied = pod["initContainers"][0]["command"][2].as_str().unwrap();
    assert!(copied.contains("umask 077"), "keys that others can read are refused at the start");
    for variable in server["env"].as_vec().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(is_variable(name), "{name} is no key of the configuration");
        if let Some(file) = variable["value"].as_str().filter(|_| name.ends_with("_FILE")) {
            assert!(mounts.iter().any(|mount| file.starts_with(mount)) && copied.contains(file.rsplit('/').next().unwrap()), "{file}");
        }
    }
    assert!(mounts.iter().any(|mount| command.last().unwrap().starts_with(mount)));
}

#[test]
fn two_machines_on_postgresql_need_no_volume_and_migrate_once() {
    let (fly, single): (toml::Table, toml::Table) =
        (text("manifests/fly/postgres.toml").parse().unwrap(), text("fly.toml").parse().unwrap());
    assert!(!fly.contains_key("mounts"), "a volume belongs to one Machine");
    assert_eq!(fly["http_service"]["min_machines_running"].as_integer(), Some(2));
    for same in ["kill_signal", "kill_timeout", "metrics", "processes", "files", "vm"] {
        assert_eq!(fly[same], single[same], "{same}");
    }
    for same in ["internal_port", "force_https", "auto_stop_machines", "checks", "http_options"] {
        assert_eq!(fly["http_service"][same], single["http_service"][same], "{same}");
    }
    let migrate: Vec<&str> = fly["deploy"]["release_command"].as_str().unwrap().split(' ').collect();
    is_understood(&migrate[1..]);
    is_understood(&fly["processes"]["app"].as_str().unwrap().split(' ').skip(1).collect::<Vec<_>>());
    let dockerfile = Path::new("manifests/fly").join(fly["build"]["dockerfile"].as_str().unwrap());
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(dockerfile).exists());
    for name in fly["env"].as_table().unwrap().keys() {
        assert!(is_variable(name), "{name} is no key of the configuration");
    }
    // The secrets of the steps at the top are keys as well.
    let steps = text("manifests/fly/postgres.toml");
    let named: BTreeSet<&str> = steps
        .lines()
        .filter(|line| line.starts_with('#'))
        .flat_map(|line| line.split([' ', '=']))
        .filter(|word| word.starts_with("COUNTERSIGN_"))
        .collect();
    assert!(named.len() >= 6);
    for name in named {
        assert!(is_variable(name), "{name} is no key of the configuration");
    }
}
