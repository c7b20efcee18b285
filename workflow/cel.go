package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Function is a function of expressions beyond standard CEL.
type Function struct {
	Name      string
	Signature string
	Doc       string
}

// Functions lists every function beyond standard CEL.
func Functions() []Function {
	return []Function{
		{"range", "range(int) -> list(int)", "0, 1, ... n-1; n is at most 10000"},
		{"join", "join(list(dyn), string) -> string", "the elements as text, with the string between them"},
		{"basename", "basename(string) -> string", "what follows the last slash"},
	}
}

func functionOptions() []cel.EnvOption {
	list := cel.ListType(cel.DynType)
	return []cel.EnvOption{
		cel.Function("range", cel.Overload("range_int", []*cel.Type{cel.IntType}, cel.ListType(cel.IntType),
			cel.UnaryBinding(celRange))),
		cel.Function("join", cel.Overload("join_list_string", []*cel.Type{list, cel.StringType}, cel.StringType,
			cel.BinaryBinding(celJoin))),
		cel.Function("basename", cel.Overload("basename_string", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(celBasename))),
	}
}

func celRange(n ref.Val) ref.Val {
	count, ok := n.(types.Int)
	if !ok || count < 0 || count > MaxItems {
		return types.NewErr("range(%v): the number must be 0 to %d", n.Value(), MaxItems)
	}
	list := make([]int64, count)
	for i := range list {
		list[i] = int64(i)
	}
	return types.DefaultTypeAdapter.NativeToValue(list)
}

func celJoin(list, between ref.Val) ref.Val {
	value, err := native(list, 0)
	items, ok := value.([]any)
	if err != nil || !ok {
		return types.NewErr("join: the first argument must be a list")
	}
	texts, size := make([]string, len(items)), 0
	for i, item := range items {
		if texts[i], err = textOf(item); err != nil {
			return types.NewErr("join: %v", err)
		}
		if size += len(texts[i]); size > 1<<20 {
			return types.NewErr("join: the text is longer than 1 MiB")
		}
	}
	sep, _ := between.(types.String)
	if len(sep)*len(items) > 1<<20 {
		return types.NewErr("join: the text is longer than 1 MiB")
	}
	return types.String(strings.Join(texts, string(sep)))
}

func celBasename(path ref.Val) ref.Val {
	text, _ := path.(types.String)
	return text[strings.LastIndexByte(string(text), '/')+1:]
}

// costs adds what our own functions allocate to CEL's cost.
type costs struct{}

// CallCost is the cost of one call, nil where CEL's own estimate holds.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	var cost uint64
	switch r := result.(type) {
	case traits.Lister:
		if function != "range" {
			return nil
		}
		n, _ := r.Size().(types.Int)
		cost = 1 + uint64(n)
	case types.String:
		if function != "join" {
			return nil
		}
		items, _ := args[0].(traits.Sizer)
		n, _ := items.Size().(types.Int)
		cost = 1 + uint64(n) + uint64(len(r))/8
	default:
		return nil
	}
	return &cost
}

// Names of the object types of the environment. The prefix cannot be written in an expression by accident.
const (
	typeParams = "spillway.Params"
	typeTask   = "spillway.Task"
	typeRun    = "spillway.Run"
)

// provider adds the fields of params, tasks.ID and run to CEL's types, so that they are checked at validation.
type provider struct {
	types.Provider
	fields map[string]map[string]*types.FieldType
}

func newProvider(base types.Provider, params []Param) *provider {
	p := &provider{Provider: base, fields: map[string]map[string]*types.FieldType{typeParams: {}}}
	for _, param := range params {
		p.add(typeParams, param.Name, paramTypes[param.Type])
	}
	p.add(typeTask, "state", types.StringType)
	p.add(typeTask, "succeeded", types.IntType)
	p.add(typeTask, "failed", types.IntType)
	p.add(typeTask, "outputs", types.NewMapType(types.StringType, types.DynType))
	p.add(typeRun, "id", types.StringType)
	p.add(typeRun, "workflow", types.StringType)
	return p
}

var paramTypes = map[ParamType]*types.Type{
	"":           types.DynType, // a type that was itself refused; one finding is enough
	ParamString:  types.StringType,
	ParamNumber:  types.DoubleType,
	ParamInteger: types.IntType,
	ParamBoolean: types.BoolType,
	ParamList:    types.NewListType(types.DynType),
	ParamObject:  types.NewMapType(types.StringType, types.DynType),
}

func (p *provider) add(object, field string, t *types.Type) {
	if p.fields[object] == nil {
		p.fields[object] = map[string]*types.FieldType{}
	}
	p.fields[object][field] = &types.FieldType{
		Type: t,
		IsSet: func(target any) bool {
			_, ok := asMap(target)[field]
			return ok
		},
		GetFrom: func(target any) (any, error) {
			value, ok := asMap(target)[field]
			if !ok {
				return nil, fmt.Errorf("no such field: %s", field)
			}
			return value, nil
		},
	}
}

// asMap is the value behind an object: a map, plain or wrapped by CEL.
func asMap(target any) map[string]any {
	if wrapped, ok := target.(ref.Val); ok {
		target = wrapped.Value()
	}
	m, _ := target.(map[string]any)
	return m
}

// FindStructType knows our object types and CEL's.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.fields[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames lists the fields of a type.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := p.fields[name]
	if !ok {
		return p.Provider.FindStructFieldNames(name)
	}
	names := make([]string, 0, len(fields))
	for field := range fields {
		names = append(names, field)
	}
	return names, true
}

// FindStructFieldType finds a field of a type.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	fields, ok := p.fields[name]
	if !ok {
		return p.Provider.FindStructFieldType(name, field)
	}
	f, ok := fields[field]
	return f, ok
}

func nativeAggregate(v ref.Val, depth int) (any, error) {
	switch v := v.(type) {
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, errors.New("an unsigned number does not fit 63 bits")
		}
		return int64(v), nil
	case types.Timestamp, types.Duration:
		return native(v.ConvertToType(types.StringType), depth)
	case traits.Lister:
		size, _ := v.Size().(types.Int)
		list := make([]any, 0, size)
		for i := range size {
			item, err := native(v.Get(i), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	case traits.Mapper:
		return nativeMap(v, depth)
	}
	return nil, fmt.Errorf("a value of type %s has no text", v.Type().TypeName())
}

func nativeMap(v traits.Mapper, depth int) (any, error) {
	object := map[string]any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, errors.New("the keys of a map must be strings")
		}
		item, err := native(v.Get(key), depth+1)
		if err != nil {
			return nil, err
		}
		object[string(name)] = item
	}
	return object, nil
}

// textOf is a value as a command sees it: strings as they are, null as nothing, all else as JSON.
func textOf(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case nil:
		return "", nil
	}
	text, err := json.Marshal(value)
	return string(text), err
}
