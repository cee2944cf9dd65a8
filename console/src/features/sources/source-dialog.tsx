'use client';

import { zodResolver } from '@hookform/resolvers/zod';
import type { Source } from '@oaas/commons/client/pm';
import { useId } from 'react';
import { useForm, useWatch } from 'react-hook-form';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { Field, Input, Select } from '../../ui/field.tsx';
import { usePutSource } from './actions.ts';
import {
  emptyForm,
  keepsSecret,
  sourceFormSchema,
  toSourceInput,
  type SourceForm,
  type SourceFormInput,
} from './form.ts';

interface SourceDialogProps {
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
  /** Null: a new one. */
  readonly source: Source | null;
}

export function SourceDialog({ open, onOpenChange, source }: SourceDialogProps) {
  const formId = useId();
  const put = usePutSource(() => onOpenChange(false));
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={source === null ? 'Add a source' : `Edit ${source.name}`}
      description={
        source === null
          ? 'A Git repository over HTTP(S). It is read at once, and again whenever it changes.'
          : 'Secrets are never shown. What you leave empty stays as it is.'
      }
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>Cancel</Button>
          <Button kind="primary" type="submit" form={formId} busy={put.isPending}>
            {source === null ? 'Add source' : 'Save'}
          </Button>
        </>
      }
    >
      <SourceFields id={formId} source={source} onSubmit={(form) => put.mutate(toSourceInput(form))} />
    </Dialog>
  );
}

function SourceFields({
  id,
  source,
  onSubmit,
}: {
  readonly id: string;
  readonly source: Source | null;
  readonly onSubmit: (form: SourceForm) => void;
}) {
  const { register, handleSubmit, formState, control } = useForm<SourceFormInput, unknown, SourceForm>({
    resolver: zodResolver(sourceFormSchema(source)),
    defaultValues: emptyForm(source),
  });
  const error = (name: keyof SourceFormInput) => formState.errors[name]?.message;
  const [auth, url, username] = useWatch({ control, name: ['auth', 'url', 'username'] });
  const isKept = keepsSecret(source, { auth, url, username });
  return (
    <form
      id={id}
      noValidate
      onSubmit={(event) => void handleSubmit(onSubmit)(event)}
      className="grid grid-cols-2 gap-4 max-sm:grid-cols-1"
    >
      <Field label="Name" error={error('name')} className="col-span-full">
        {(ids) => <Input {...ids} readOnly={source !== null} autoComplete="off" {...register('name')} />}
      </Field>
      <Field label="Repository URL" error={error('url')} className="col-span-full">
        {(ids) => <Input {...ids} inputMode="url" autoComplete="off" {...register('url')} />}
      </Field>
      <Field label="Follows">
        {(ids) => (
          <Select {...ids} className="w-full" {...register('refKind')}>
            <option value="branch">Branch</option>
            <option value="tag">Tag</option>
            <option value="commit">Commit</option>
          </Select>
        )}
      </Field>
      <Field label="Branch, tag or commit" error={error('refName')}>
        {(ids) => <Input {...ids} autoComplete="off" {...register('refName')} />}
      </Field>
      <Field label="Folder" hint="Empty: the whole repository." error={error('path')}>
        {(ids) => <Input {...ids} autoComplete="off" {...register('path')} />}
      </Field>
      <Field label="When a package leaves Git" hint="Shards that hold objects are never removed unasked.">
        {(ids) => (
          <Select {...ids} className="w-full" {...register('prune')}>
            <option value="keep">Leave it running</option>
            <option value="delete">Remove it</option>
          </Select>
        )}
      </Field>
      <Field label="Poll every, seconds" error={error('interval')}>
        {(ids) => <Input {...ids} inputMode="numeric" {...register('interval')} />}
      </Field>
      <Field label="Give up after, seconds" error={error('timeout')}>
        {(ids) => <Input {...ids} inputMode="numeric" {...register('timeout')} />}
      </Field>
      <Field label="Authentication">
        {(ids) => (
          <Select {...ids} className="w-full" {...register('auth')}>
            <option value="none">None</option>
            <option value="basic">User and password</option>
            <option value="bearer">Bearer token</option>
          </Select>
        )}
      </Field>
      {auth === 'basic' ? (
        <Field label="Git user" error={error('username')}>
          {(ids) => <Input {...ids} autoComplete="off" {...register('username')} />}
        </Field>
      ) : (
        <span className="max-sm:hidden" />
      )}
      {auth === 'none' ? null : (
        <Field
          label={auth === 'basic' ? 'Git password' : 'Token'}
          hint={isKept ? 'One is set. Leave empty to keep it.' : undefined}
          error={error('secret')}
          className="col-span-full"
        >
          {(ids) => <Input {...ids} type="password" autoComplete="new-password" {...register('secret')} />}
        </Field>
      )}
      <Field
        label="Webhook secret"
        hint={
          source?.webhook.secret_set === true
            ? 'One is set. Leave empty to keep it.'
            : 'Optional. Without it a push is seen at the next poll instead of at once.'
        }
        error={error('webhookSecret')}
        className="col-span-full"
      >
        {(ids) => <Input {...ids} type="password" autoComplete="new-password" {...register('webhookSecret')} />}
      </Field>
    </form>
  );
}
