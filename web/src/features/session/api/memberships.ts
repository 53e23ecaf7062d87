// The organizations that somebody belongs to.

import type { SupabaseClient } from "../../../supabase";

export interface Membership {
  readonly id: string;
  readonly name: string;
  readonly role: "owner" | "agent";
}

interface Row {
  readonly organization_id: string;
  readonly role: Membership["role"];
  readonly organizations: { readonly name: string } | null;
}

export async function findMemberships(supabase: SupabaseClient, userId: string): Promise<readonly Membership[]> {
  // Whoever was invited becomes a member by coming; it matters to nobody else whether that worked.
  await supabase.rpc("accept_invitations");
  const { data, error } = await supabase
    .from("organization_members")
    .select("organization_id,role,organizations(name)")
    .eq("user_id", userId)
    .order("created_at");
  if (error) throw error;
  return (data as unknown as Row[]).map((row) => ({
    id: row.organization_id,
    name: row.organizations?.name ?? "",
    role: row.role,
  }));
}

export async function createOrganization(supabase: SupabaseClient, ownerId: string, name: string): Promise<void> {
  const { error } = await supabase.from("organizations").insert({ id: crypto.randomUUID(), owner_id: ownerId, name });
  if (error) throw error;
}
