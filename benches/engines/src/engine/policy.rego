# Azure's order: a deny assignment wins; else one role assignment that applies is enough.
#
# data.grants      principal -> scope -> [{role, condition?}]
# data.roles       role -> data action -> true
# data.conditions  condition -> data action -> alternatives, each a list of tests
# data.denies      scope -> [{taken, here_only, everyone, principals, excluded}]
# input            principals: the caller and its groups; scopes: what contains the resource
package portcullis

default allow := false

allow if {
	granted
	not denied
}

granted if {
	some id in input.principals
	held := data.grants[id]
	some scope in input.scopes
	some grant in held[scope]
	data.roles[grant.role][input.action]
	satisfied(grant)
}

satisfied(grant) if not grant.condition

satisfied(grant) if {
	some alternative in data.conditions[grant.condition][input.action]
	every test in alternative {
		passes(test)
	}
}

passes(test) if {
	test.kind == "some"
	found := input.facts[test.fact]
	some value in test.values
	compare(test.operator, found, value)
}

passes(test) if {
	test.kind == "each"
	found := input.facts[test.fact]
	every value in test.values {
		compare(test.operator, found, value)
	}
}

passes(test) if {
	test.kind == "some not"
	found := input.facts[test.fact]
	some value in test.values
	not compare(test.operator, found, value)
}

passes(test) if {
	test.kind == "each not"
	found := input.facts[test.fact]
	every value in test.values {
		not compare(test.operator, found, value)
	}
}

passes(test) if {
	test.kind == "has"
	has(test.fact)
}

passes(test) if {
	test.kind == "lacks"
	not has(test.fact)
}

has(fact) if {
	_ := input.facts[fact]
}

compare("equals", found, value) if found == value

compare("starts with", found, value) if startswith(found, value)

compare("ends with", found, value) if endswith(found, value)

compare("contains", found, value) if contains(found, value)

compare("less", found, value) if found < value

compare("less or equal", found, value) if found <= value

compare("like", found, value) if {
	startswith(found, value.before)
	endswith(found, value.after)
	count(found) >= value.length
}

denied if {
	some scope in input.scopes
	some deny in data.denies[scope]
	deny.taken[input.action]
	reaches(deny, scope)
	hits(deny)
	not spares(deny)
}

reaches(deny, _) if not deny.here_only

reaches(deny, scope) if scope == input.resource

hits(deny) if deny.everyone

hits(deny) if {
	some id in input.principals
	deny.principals[id]
}

spares(deny) if {
	some id in input.principals
	deny.excluded[id]
}
