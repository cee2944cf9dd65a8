/** The Class Runtime Manager: makes Kubernetes run what DeploymentRecords say. */
export { type CrmConfig, loadCrmConfig } from './config.ts';
export { createCrmProgram, type CrmDependencies, type CrmProgram } from './program.ts';
