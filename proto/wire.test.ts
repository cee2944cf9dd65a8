// Holds the contracts against the platform's existing wire (wire/existing.json: names, numbers and types as data), read from the generated descriptors.
import { fromBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fileDescriptorSetBase64 } from './src/descriptors.ts';

interface ExistingWire {
  /** Message -> field number -> [name (null where the name is free), type]. */
  readonly messages: Record<string, Record<string, [string | null, string]>>;
  readonly enums: Record<string, Record<string, string>>;
  readonly services: Record<string, string[]>;
}

const existing = JSON.parse(readFileSync(new URL('./wire/existing.json', import.meta.url), 'utf8')) as ExistingWire;
const files = fromBinary(FileDescriptorSetSchema, Buffer.from(fileDescriptorSetBase64, 'base64')).file;

const messages = new Map<string, DescriptorProto>();
function collect(prefix: string, found: readonly DescriptorProto[]): void {
  for (const message of found) {
    messages.set(`${prefix}.${message.name}`, message);
    collect(`${prefix}.${message.name}`, message.nestedType);
  }
}
for (const file of files) collect(file.package, file.messageType);

function scalar(field: FieldDescriptorProto): string {
  const named = field.typeName.replace(/^\./, '');
  return named !== '' ? named : FieldDescriptorProto_Type[field.type].toLowerCase();
}

function typeOf(field: FieldDescriptorProto): string {
  const entry = messages.get(field.typeName.replace(/^\./, ''));
  if (entry?.options?.mapEntry === true) {
    const [key, value] = entry.field;
    if (key === undefined || value === undefined) throw new Error(`map entry ${entry.name} has no key or value`);
    return `map<${scalar(key)}, ${scalar(value)}>`;
  }
  return (field.label === FieldDescriptorProto_Label.REPEATED ? 'repeated ' : '') + scalar(field);
}

describe('the existing wire', () => {
  it.each(Object.entries(existing.messages))('%s keeps every field number, name and type', (name, fields) => {
    const message = messages.get(name);
    expect(message, `message ${name} is gone`).toBeDefined();
    for (const [number, [fieldName, type]] of Object.entries(fields)) {
      const field = message?.field.find((f) => f.number === Number(number));
      expect(field, `${name} field ${number} is gone`).toBeDefined();
      if (field === undefined) continue;
      if (fieldName !== null) expect(field.name).toBe(fieldName);
      expect(typeOf(field), `${name}.${field.name}`).toBe(type);
    }
  });

  it.each(Object.entries(existing.messages))('%s takes numbers from 100 up for what was added', (name, fields) => {
    const added = (messages.get(name)?.field ?? []).filter((field) => !(String(field.number) in fields));
    expect(
      added.filter((field) => field.number < 100).map((field) => `${field.name} = ${String(field.number)}`),
    ).toEqual([]);
  });

  it.each(Object.entries(existing.enums))('%s keeps its values', (name, values) => {
    const found = files
      .flatMap((file) => file.enumType.map((e) => ({ name: `${file.package}.${e.name}`, value: e.value })))
      .find((e) => e.name === name);
    expect(Object.fromEntries((found?.value ?? []).map((v) => [String(v.number), v.name]))).toMatchObject(values);
  });

  it.each(Object.entries(existing.services))('%s keeps its methods', (name, methods) => {
    const service = files
      .flatMap((file) => file.service.map((s) => ({ name: `${file.package}.${s.name}`, methods: s.method })))
      .find((s) => s.name === name);
    expect(service?.methods.map((m) => m.name)).toEqual(expect.arrayContaining(methods));
  });
});
