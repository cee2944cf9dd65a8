import { fieldErrors, type FieldError } from './status.ts';
import type { KindRules } from './resource.ts';
import { isJson, type ObjectMeta } from './types.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED_PART = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const MAX_LABEL = 63;
const MAX_SUBDOMAIN = 253;
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

const SUBDOMAIN_DETAIL =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_DETAIL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035_DETAIL =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/** Why a name is refused; undefined: it is fine. */
export function nameProblem(name: string, style: NonNullable<KindRules['names']>): string | undefined {
  switch (style) {
    case 'subdomain':
      return SUBDOMAIN.test(name) && name.length <= MAX_SUBDOMAIN ? undefined : SUBDOMAIN_DETAIL;
    case 'label':
      return LABEL.test(name) && name.length <= MAX_LABEL ? undefined : LABEL_DETAIL;
    case 'service':
      return DNS_1035.test(name) && name.length <= MAX_LABEL ? undefined : DNS_1035_DETAIL;
    case 'path':
      return name !== '.' && name !== '..' && !/[/%]/.test(name) ? undefined : 'may not contain "/" or "%"';
  }
}

/** Whether a label's or annotation's key is one: `[prefix/]name`. */
export function isQualifiedName(key: string): boolean {
  const parts = key.split('/');
  const name = parts.at(-1) ?? '';
  if (parts.length > 2 || !QUALIFIED_PART.test(name) || name.length > MAX_LABEL) return false;
  return parts.length === 1 || SUBDOMAIN.test(parts[0] ?? '');
}

export function labelErrors(labels: unknown, field: string): FieldError[] {
  if (!isJson(labels)) return [];
  const found: FieldError[] = [];
  for (const [key, value] of Object.entries(labels)) {
    if (!isQualifiedName(key)) {
      found.push(
        fieldErrors.invalid(
          field,
          key,
          "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
      );
    }
    if (typeof value !== 'string' || value.length > MAX_LABEL || !LABEL_VALUE.test(value)) {
      found.push(
        fieldErrors.invalid(
          field,
          value,
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
      );
    }
  }
  return found;
}

/** Checks the metadata that every kind shares. */
export function metadataErrors(metadata: ObjectMeta, style: NonNullable<KindRules['names']>): FieldError[] {
  const found: FieldError[] = [];
  const name = metadata.name ?? '';
  const problem = name === '' ? undefined : nameProblem(name, style);
  if (name === '') found.push(fieldErrors.required('metadata.name', 'name or generateName is required'));
  else if (problem !== undefined) found.push(fieldErrors.invalid('metadata.name', name, problem));
  found.push(...labelErrors(metadata.labels, 'metadata.labels'));
  let size = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    size += key.length + value.length;
    if (!isQualifiedName(key.toLowerCase())) {
      found.push(fieldErrors.invalid('metadata.annotations', key, 'name part must be a qualified name'));
    }
  }
  if (size > MAX_ANNOTATIONS_BYTES) found.push(fieldErrors.tooLong('metadata.annotations', MAX_ANNOTATIONS_BYTES));
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    if (!isQualifiedName(finalizer)) {
      found.push(
        fieldErrors.invalid(`metadata.finalizers[${String(index)}]`, finalizer, 'name part must be a qualified name'),
      );
    }
  }
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (!owner[field])
        found.push(
          fieldErrors.invalid(`metadata.ownerReferences[${String(index)}].${field}`, '', `${field} must not be empty`),
        );
    }
  }
  if ((metadata.ownerReferences ?? []).filter((owner) => owner.controller === true).length > 1) {
    found.push(
      fieldErrors.invalid('metadata.ownerReferences', 'array', 'Only one reference can have Controller set to true.'),
    );
  }
  return found;
}

const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
const MAX_GENERATED_PREFIX = 58;

/** A name from generateName: the prefix, cut to fit a label, and five random letters. */
export function generateName(prefix: string, random: () => number): string {
  let suffix = '';
  for (let index = 0; index < SUFFIX_LENGTH; index += 1) {
    suffix += SUFFIX_LETTERS[Math.floor(random() * SUFFIX_LETTERS.length)] ?? 'x';
  }
  return `${prefix.slice(0, MAX_GENERATED_PREFIX)}${suffix}`;
}
