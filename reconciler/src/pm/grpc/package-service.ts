import { oaasError } from '@oaas/commons/errors';
import { auditResourceKey, type CallContext, type ServiceHandlers, subjectOf } from '@oaas/commons/grpc';
import type { Subject } from '@oaas/commons/security';
import { common, type packages } from '@oaas/proto';
import { type Access, authorise } from '../access.ts';
import type { PackageManager } from '../shell/manager.ts';
import type { PackageState } from '../shell/state.ts';
import { deploymentFields, packageFields, wirePackage } from './convert.ts';

/** What each method needs and is called in the audit; the same as its counterpart in the REST API. */
export const accessOf = {
  CreatePackage: { action: 'write', kind: 'package', audit: 'package.create' },
  GetPackage: { action: 'read', kind: 'package' },
  ListPackages: { action: 'read', kind: 'package' },
  DeletePackage: { action: 'delete', kind: 'package', audit: 'package.delete' },
  DeployClass: { action: 'write', kind: 'deployment', audit: 'deployment.put' },
  ReportDeploymentStatus: { action: 'write', kind: 'deployment-record', audit: 'deployment-record.report' },
} as const satisfies Record<string, Access>;

const listDefault = 100;
const listMax = 1000;
const { OK } = common.StatusCode;

type Handlers = ServiceHandlers<typeof packages.PackageServiceDefinition>;

/**
 * `oaas.package.PackageService` over the same functions as the REST API: what that refuses, this refuses, with the same error.
 * Answers without an error always have the status OK.
 */
export function packageService(pm: PackageManager): Handlers {
  /** Lets the caller in, and says in the audit what the call is about. */
  const enter = (context: CallContext, method: keyof typeof accessOf, name: string): Subject => {
    context.attributes.set(auditResourceKey, name);
    const subject = subjectOf(context);
    if (subject === undefined) throw oaasError('Unauthenticated', 'the call has no valid credentials');
    authorise(subject, accessOf[method], name === '' ? undefined : name);
    return subject;
  };
  const packageOf = (name: string): PackageState => {
    const found = pm.state.package(name);
    if (found === undefined) throw oaasError('NotFound', `there is no package "${name}"`);
    return found;
  };

  return {
    createPackage: async ({ package: given, replace }, context) => {
      const subject = enter(context, 'CreatePackage', given?.name ?? '');
      if (given === undefined) throw oaasError('InvalidArgument', 'package: the request has none');
      const text = JSON.stringify(packageFields(given));
      const { name, held } = await pm.api.putPackage(text, subject.name, { mustBeNew: !replace });
      return { status: OK, packageId: name, message: heldText(held) };
    },
    getPackage: async ({ name }, context) => {
      enter(context, 'GetPackage', name);
      return Promise.resolve({ status: OK, package: wirePackage(packageOf(name)) });
    },
    listPackages: async ({ filter, limit, offset }, context) => {
      enter(context, 'ListPackages', '');
      const text = filter?.toLowerCase() ?? '';
      const found = [...pm.state.packages()]
        .filter(({ spec }) => spec.name.toLowerCase().includes(text))
        .sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
      const count = Math.min(limit === 0 ? listDefault : limit, listMax);
      const shown = found.slice(offset, offset + count).map(wirePackage);
      return Promise.resolve({ status: OK, packages: shown, totalCount: found.length });
    },
    deletePackage: async ({ name, confirm }, context) => {
      const subject = enter(context, 'DeletePackage', name);
      await pm.api.deletePackage(name, subject.name, confirm === '' ? undefined : confirm);
      return { status: OK };
    },
    deployClass: async (request, context) => {
      const subject = enter(context, 'DeployClass', `${request.packageName}/${request.classKey}`);
      const { held, key } = await pm.api.putDeployment(JSON.stringify(deploymentFields(request)), subject.name);
      const deploymentIds = pm.state
        .unitsOf({ type: 'api' })
        .filter((unit) => unit.spec.package_name === request.packageName && unit.deploymentKey === key)
        .map((unit) => unit.id)
        .sort();
      return { status: OK, deploymentId: deploymentIds[0] ?? '', deploymentIds, message: heldText(held) };
    },
    reportDeploymentStatus: async ({ deploymentId }, context) => {
      enter(context, 'ReportDeploymentStatus', deploymentId);
      const unit = pm.state.unit(deploymentId);
      if (unit === undefined) throw oaasError('NotFound', `there is no deployment "${deploymentId}"`);
      // PM believes what it sees in the cluster itself, and a report is a reason to look there.
      pm.agents.get(unit.spec.target_env)?.enqueue(deploymentId);
      return Promise.resolve({ status: OK, message: 'PM follows its clusters by itself; it looks at this one now.' });
    },
  };
}

function heldText(held: number): string | undefined {
  return held === 0 ? undefined : `${String(held)} of its units wait for a confirmation.`;
}
