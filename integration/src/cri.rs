// SPDX-License-Identifier: Apache-2.0
//! The kubelet's side of the CRI protocol, as much as the tests need.

use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, ExecSyncRequest, ImageSpec, Int64Value,
    LinuxContainerConfig, LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext,
    ListPodSandboxRequest, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    RemovePodSandboxRequest, RunPodSandboxRequest, SecurityProfile, StartContainerRequest, StopPodSandboxRequest,
    runtime_service_client::RuntimeServiceClient,
};
use tokio::runtime::{Builder, Runtime};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::{bundle::unique, image::BUSYBOX};

/// A connection to a CRI service.
pub struct Cri {
    threads: Runtime,
    client: RuntimeServiceClient<Channel>,
    logs: PathBuf,
}

impl fmt::Debug for Cri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cri").field("logs", &self.logs).finish_non_exhaustive()
    }
}

/// What a test chooses of a pod with one container.
#[derive(Debug, Clone, Default)]
pub struct Pod {
    /// Runtime handler.
    pub handler: &'static str,
    /// Name of the container.
    pub name: &'static str,
    /// Its command.
    pub command: Vec<String>,
    /// Runs privileged, that is without a profile.
    pub privileged: bool,
    /// Runs with the engine's default profile rather than none.
    pub runtime_default: bool,
    /// Sets `noNewPrivileges`.
    pub no_new_privileges: bool,
    /// User id, where not the image's.
    pub user: Option<i64>,
    /// Annotations of pod and container.
    pub annotations: HashMap<String, String>,
}

/// A running pod.
#[derive(Debug)]
pub struct Running {
    /// Id of the sandbox.
    pub sandbox: String,
    /// Id of the container.
    pub container: String,
    log: PathBuf,
}

/// What a program executed in a container left.
#[derive(Debug)]
pub struct Exec {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Cri {
    pub(crate) fn connect(socket: &Path, folder: &Path) -> Self {
        let threads = Builder::new_current_thread().enable_all().build().expect("cannot start the client's runtime");
        let endpoint = Endpoint::try_from(format!("unix://{}", socket.display())).expect("a socket's address is valid");
        let channel = threads.block_on(endpoint.connect()).expect("cannot connect to the CRI service");
        Self { client: RuntimeServiceClient::new(channel), threads, logs: folder.join("pods") }
    }

    /// Runs a pod; the error is the engine's.
    pub fn run(&mut self, pod: &Pod) -> Result<Running, Status> {
        let sandbox_config = self.sandbox_config(pod);
        let request =
            RunPodSandboxRequest { config: Some(sandbox_config.clone()), runtime_handler: pod.handler.to_owned() };
        let sandbox = self.threads.block_on(self.client.run_pod_sandbox(request))?.into_inner().pod_sandbox_id;
        let log = Path::new(&sandbox_config.log_directory).join("container.log");
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.clone(),
            config: Some(container_config(pod)),
            sandbox_config: Some(sandbox_config),
        };
        let created = self.threads.block_on(self.client.create_container(request))?.into_inner();
        let request = StartContainerRequest { container_id: created.container_id.clone() };
        self.threads.block_on(self.client.start_container(request))?;
        Ok(Running { sandbox, container: created.container_id, log })
    }

    /// Runs a program in the pod's container.
    pub fn exec(&mut self, pod: &Running, command: &[&str]) -> Result<Exec, Status> {
        let cmd = command.iter().map(|&word| word.to_owned()).collect();
        let request = ExecSyncRequest { container_id: pod.container.clone(), cmd, timeout: 30 };
        let response = self.threads.block_on(self.client.exec_sync(request))?.into_inner();
        Ok(Exec { code: response.exit_code, stdout: response.stdout, stderr: response.stderr })
    }

    /// Stops and removes the pod.
    pub fn remove(&mut self, pod: &Running) -> Result<(), Status> {
        self.remove_sandbox(&pod.sandbox)
    }

    /// Stops and removes whatever pods there are.
    pub(crate) fn remove_all(&mut self) -> Result<(), Status> {
        let request = ListPodSandboxRequest::default();
        let pods = self.threads.block_on(self.client.list_pod_sandbox(request))?.into_inner().items;
        pods.iter().try_for_each(|pod| self.remove_sandbox(&pod.id))
    }

    fn remove_sandbox(&mut self, sandbox: &str) -> Result<(), Status> {
        let request = StopPodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        self.threads.block_on(self.client.stop_pod_sandbox(request))?;
        let request = RemovePodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        self.threads.block_on(self.client.remove_pod_sandbox(request))?;
        Ok(())
    }

    fn sandbox_config(&self, pod: &Pod) -> PodSandboxConfig {
        let name = unique("pod");
        let logs = self.logs.join(&name);
        fs::create_dir_all(&logs).expect("cannot make the pod's log folder");
        let context = LinuxSandboxSecurityContext {
            namespace_options: Some(host_network()),
            privileged: pod.privileged,
            seccomp: Some(profile(pod)),
            ..Default::default()
        };
        let linux = LinuxPodSandboxConfig { security_context: Some(context), ..Default::default() };
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: "falco-ornek-pod".to_owned(),
                uid: name,
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            log_directory: logs.display().to_string(),
            annotations: pod.annotations.clone(),
            linux: Some(linux),
            ..Default::default()
        }
    }
}

impl Running {
    /// What the container printed so far, as the engine logs it.
    pub fn output(&self) -> String {
        crate::text(&fs::read(&self.log).unwrap_or_default())
    }
}

fn container_config(pod: &Pod) -> ContainerConfig {
    let context = LinuxContainerSecurityContext {
        privileged: pod.privileged,
        namespace_options: Some(host_network()),
        run_as_user: pod.user.map(|value| Int64Value { value }),
        no_new_privs: pod.no_new_privileges,
        seccomp: Some(profile(pod)),
        ..Default::default()
    };
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: pod.name.to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image: BUSYBOX.to_owned(), ..Default::default() }),
        command: pod.command.clone(),
        annotations: pod.annotations.clone(),
        log_path: "container.log".to_owned(),
        linux: Some(LinuxContainerConfig { resources: None, security_context: Some(context) }),
        ..Default::default()
    }
}

/// Without CNI plugins only pods on the host's network can run.
fn host_network() -> NamespaceOption {
    NamespaceOption { network: NamespaceMode::Node.into(), ..Default::default() }
}

fn profile(pod: &Pod) -> SecurityProfile {
    let kind = i32::from(!pod.runtime_default); // 0 is RuntimeDefault, 1 is Unconfined
    SecurityProfile { profile_type: kind, localhost_ref: String::new() }
}
