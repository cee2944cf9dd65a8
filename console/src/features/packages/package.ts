import type { PackageView } from '@oaas/commons/client/pm';
import { z } from 'zod';

/** A package keeps its YAML whole; these are the parts of it that the console shows. Anything else, or of another form, is left out. */
const bindingSchema = z.looseObject({
  name: z.string(),
  function_key: z.string(),
  access_modifier: z.string().optional(),
  stateless: z.boolean().optional(),
});
const stateSchema = z.looseObject({ consistency_model: z.string().optional(), persistent: z.boolean().optional() });
const provisionSchema = z.looseObject({
  container_image: z.string().nullish(),
  min_scale: z.number().nullish(),
  max_scale: z.number().nullish(),
});

export interface BindingView {
  readonly name: string;
  readonly functionKey: string;
  readonly access: string;
  readonly stateless: boolean;
}

export interface ClassView {
  readonly key: string;
  readonly description: string | null;
  readonly state: string | null;
  readonly bindings: readonly BindingView[];
}

export function classesOf(item: PackageView): readonly ClassView[] {
  return item.classes.map((each) => {
    const bindings = z.array(z.unknown()).catch([]).parse(each['function_bindings']);
    const state = stateSchema.safeParse(each['state_spec']);
    return {
      key: each.key,
      description: each.description ?? null,
      state: state.success ? stateText(state.data) : null,
      bindings: bindings.flatMap((raw) => {
        const parsed = bindingSchema.safeParse(raw);
        if (!parsed.success) return [];
        const { name, function_key: functionKey, access_modifier: access, stateless } = parsed.data;
        return [{ name, functionKey, access: (access ?? 'PUBLIC').toLowerCase(), stateless: stateless ?? false }];
      }),
    };
  });
}

function stateText(state: z.infer<typeof stateSchema>): string | null {
  const parts = [
    state.consistency_model === undefined ? null : state.consistency_model.toLowerCase().replaceAll('_', ' '),
    state.persistent === undefined ? null : state.persistent ? 'persistent' : 'in memory',
  ].filter((part) => part !== null && part !== 'none');
  return parts.length === 0 ? null : parts.join(', ');
}

export interface FunctionView {
  readonly key: string;
  readonly type: string;
  readonly image: string | null;
  readonly scale: string | null;
}

export function functionsOf(item: PackageView): readonly FunctionView[] {
  return item.functions.map((each) => {
    const provision = provisionSchema.safeParse(each['provision_config']);
    const { container_image: image, min_scale: min, max_scale: max } = provision.success ? provision.data : {};
    const bounds = [min, max].filter((bound) => bound !== null && bound !== undefined);
    return {
      key: each.key,
      type: each.function_type.toLowerCase(),
      image: image ?? null,
      scale: bounds.length === 0 ? null : bounds.join(' to '),
    };
  });
}

/** `source@commit:path`, or who sent it. */
export function originText({ origin }: Pick<PackageView, 'origin'>): string {
  if (origin.type === 'api') return origin.actor === null ? 'REST API' : `REST API, ${origin.actor}`;
  const commit = origin.commit === null ? '' : `@${origin.commit.slice(0, 8)}`;
  return `${origin.source ?? 'git'}${commit}${origin.path === null ? '' : `:${origin.path}`}`;
}
