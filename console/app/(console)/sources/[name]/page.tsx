import type { Metadata } from 'next';
import { SourcePage } from '../../../../src/features/sources/detail-page.tsx';

interface Props {
  readonly params: Promise<{ readonly name: string }>;
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: decodeURIComponent((await params).name) };
}

export default async function Page({ params }: Props) {
  return <SourcePage name={decodeURIComponent((await params).name)} />;
}
