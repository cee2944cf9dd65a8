import type { ResourceType } from '../resource.ts';
import { apiVersionOf } from '../resource.ts';
import { errors } from '../status.ts';
import { isJson, type Json } from '../types.ts';

/** Answers the reviews of authorization and authentication: there is one user, who may do everything. */
export function answerReview(resource: ResourceType, body: unknown): Json {
  const given = isJson(body) ? body : {};
  const head = { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata: { creationTimestamp: null } };
  switch (resource.kind) {
    case 'SelfSubjectAccessReview':
    case 'SubjectAccessReview':
      return { ...head, spec: given['spec'] ?? {}, status: { allowed: true } };
    case 'SelfSubjectRulesReview':
      return {
        ...head,
        spec: {},
        status: {
          resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
          nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          incomplete: false,
        },
      };
    case 'SelfSubjectReview':
      return {
        ...head,
        status: { userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] } },
      };
    default:
      throw errors.methodNotAllowed();
  }
}
