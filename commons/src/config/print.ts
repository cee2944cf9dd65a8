import { Document, isScalar, type Node } from 'yaml';
import { type FieldNode, leavesOf } from './fields.ts';

/** What a secret prints as. */
const redacted = '***';

/** The configuration as YAML, each value with its origin, secrets redacted. */
export function printConfig(root: FieldNode, config: unknown, origins: Readonly<Record<string, string>>): string {
  const document = new Document(redact(root, config, false), { aliasDuplicateObjects: false });
  for (const { path } of leavesOf(root)) {
    const node = document.getIn(path, true) as Node | undefined;
    if (node === undefined) continue;
    const origin = ` ${origins[path.join('.')] ?? 'default'}`;
    if (isScalar(node)) node.comment = origin;
    else node.commentBefore = origin;
  }
  return document.toString({ lineWidth: 0 });
}

function redact(field: FieldNode | undefined, value: unknown, isSecret: boolean): unknown {
  if (value === undefined || value === null) return value;
  const hidden = isSecret || field?.isSecret === true;
  if (Array.isArray(value)) return value.map((item) => redact(field?.element, item, hidden));
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, child]) => child !== undefined)
        .map(([name, child]) => [name, redact(field?.fields.get(name) ?? field?.element, child, hidden)]),
    );
  }
  return hidden ? redacted : value;
}
