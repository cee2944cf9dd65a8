/** A package with one class, one function and one deployment. */
export function packageYaml(name: string, step: number, environments: readonly string[] = ['cloud']): string {
  return `apiVersion: oaas.io/v1alpha1
kind: Package
name: ${name}
version: 1.0.${step}
classes:
  - key: Counter
    state_spec: { consistency_model: READ_YOUR_WRITE, persistent: true }
    function_bindings:
      - { name: increment, function_key: counter }
functions:
  - key: counter
    function_type: CUSTOM
    provision_config: { container_image: 'oaas/example-counter:1', port: 8080 }
    config: { STEP: '${step}' }
deployments:
  - key: counter
    class_key: Counter
    target_envs: [${environments.join(', ')}]
    odgm: { partition_count: 1 }
`;
}

/** Children of the record of such a package: StatefulSet, Deployment, two Services (a grid of one node needs none for its peers), ConfigMap. */
export const childrenPerRecord = 5;
