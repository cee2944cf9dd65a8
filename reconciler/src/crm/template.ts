import { oaasError } from '@oaas/commons/errors';
import type { DeploymentRecord, DeploymentTemplate, EnvironmentConfig, TemplateSpec } from '../record/index.ts';

/** The template that is there without a DeploymentTemplate object. */
export const builtInTemplate = 'k8s_deployment';

export interface Selection {
  readonly name: string;
  readonly template: TemplateSpec;
  /** Variables of the environment. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * The template of a record: the one it asks for, else its environment's default, else the built-in one. Throws
 * `FailedPrecondition` for a name that is neither built in nor a DeploymentTemplate of the namespace.
 */
export function selectTemplate(
  record: DeploymentRecord,
  templates: (name: string) => DeploymentTemplate | undefined,
  environment: EnvironmentConfig | undefined,
): Selection {
  const name = record.spec.selectedTemplate ?? environment?.spec.defaultTemplate ?? builtInTemplate;
  const variables = environment?.spec.variables ?? {};
  const found = templates(name);
  if (found !== undefined) return { name, template: found.spec, variables };
  if (name === builtInTemplate) return { name, template: { templateType: builtInTemplate }, variables };
  throw oaasError('FailedPrecondition', `there is no template "${name}"`, {
    remedy: `Create a DeploymentTemplate of that name, or ask for ${builtInTemplate}.`,
    details: { reason: 'TemplateNotFound' },
  });
}
